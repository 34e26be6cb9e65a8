/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes the decoder and the payload readers.
 *
 * The first byte chooses: even, the rest is a stream for the decoder, in pieces whose sizes the
 * input gives; odd, the rest is one payload for the reader of a type, which a CRC would keep a
 * fuzzer from reaching. Whatever the decoder accepts must encode back and decode to the same. */
#include <stdlib.h>
#include <string.h>

#include "msg.h"

static volatile uint64_t sink;

static void consume(const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sink += ((const uint8_t *)bytes)[i];
}

static void read_batch(const struct vh_frame *frame)
{
    struct vh_batch batch;
    struct vh_records records;
    struct vh_hint hint;
    const uint8_t *record;
    uint32_t seen = 0;

    if (vh_msg_batch(frame, &batch, &records))
        return;
    while ((record = vh_records_next(&records, &hint))) {
        if (hint.size < sizeof(hint) || hint.key_size > hint.size - sizeof(hint))
            abort();
        consume(record, hint.size);
        seen++;
    }
    if (seen != batch.count)
        abort();
}

static void read_load(const struct vh_frame *frame)
{
    struct vh_load load;
    const char *text;

    if (vh_msg_load(frame, &load, &text))
        return;
    consume(text, load.tunables_len);
    for (const char *t = text; t < text + load.tunables_len; t += strlen(t) + 1)
        sink += strlen(t);
}

static void read_answer(const struct vh_frame *frame)
{
    struct vh_answer answer;
    const char *text;
    const char *log;

    if (vh_msg_answer(frame, &answer, &text, &log))
        return;
    consume(text, answer.text_len);
    consume(log, answer.log_len);
}

static void read_lists(const struct vh_frame *frame)
{
    static struct vh_cpu cpus[VH_CPUS_MAX];
    static struct vh_program programs[VH_PROGRAMS_MAX];
    uint32_t n;

    if (frame->type == VH_CPUS && !vh_msg_cpus(frame, cpus, &n))
        consume(cpus, n * sizeof(cpus[0]));
    if (frame->type == VH_PROGRAMS && !vh_msg_programs(frame, programs, &n))
        consume(programs, n * sizeof(programs[0]));
}

static void read_small(const struct vh_frame *frame)
{
    struct vh_hello hello;
    struct vh_chunk chunk;
    struct vh_unload unload;
    struct vh_resync resync;
    struct vh_credit credit;
    struct vh_ping ping;
    struct vh_pong pong;
    const uint8_t *data;
    uint32_t n;

    if (frame->type == VH_HELLO && !vh_msg_hello(frame, &hello)) {
        consume(hello.release, strlen(hello.release));
        sink += (uint64_t)vh_hello_version(&hello);
    }
    if (frame->type == VH_CHUNK && !vh_msg_chunk(frame, &chunk, &data, &n))
        consume(data, n);
    if (frame->type == VH_UNLOAD && !vh_msg_unload(frame, &unload))
        consume(unload.name, strlen(unload.name));
    if (frame->type == VH_RESYNC)
        (void)vh_msg_resync(frame, &resync);
    if (frame->type == VH_CREDIT)
        (void)vh_msg_credit(frame, &credit);
    if (frame->type == VH_PING)
        (void)vh_msg_ping(frame, &ping);
    if (frame->type == VH_PONG)
        (void)vh_msg_pong(frame, &pong);
}

static void read_payload(const struct vh_frame *frame)
{
    read_small(frame);
    read_lists(frame);
    if (frame->type == VH_LOAD)
        read_load(frame);
    if (frame->type == VH_ANSWER)
        read_answer(frame);
    if (frame->type == VH_HINTS || frame->type == VH_SNAPSHOT)
        read_batch(frame);
}

/* What was accepted must survive a round trip. */
static void check_round_trip(const struct vh_frame *frame)
{
    static uint8_t wire[VH_FRAME_ENCODED(VH_PAYLOAD_MAX)];
    static uint64_t buffer[VH_DECODER_BUFFER / sizeof(uint64_t) + 1];
    struct iovec part = {.iov_base = (void *)frame->data, .iov_len = frame->len};
    struct vh_decoder decoder;
    struct vh_frame again;
    const uint8_t *at = wire;
    long size = vh_frame_encode(wire, sizeof(wire), (enum vh_type)frame->type, frame->version,
                                frame->id, &part, 1);
    size_t len;

    if (size <= 0 || memchr(wire, 0, (size_t)size) != wire + size - 1)
        abort();
    len = (size_t)size;
    vh_decoder_init(&decoder, (uint8_t *)buffer);
    if (vh_decoder_feed(&decoder, &at, &len, &again) != 1 || again.len != frame->len ||
        memcmp(again.data, frame->data, frame->len) != 0 || again.id != frame->id)
        abort();
}

static void read_stream(const uint8_t *bytes, size_t len)
{
    static uint64_t buffer[VH_DECODER_BUFFER / sizeof(uint64_t) + 1];
    struct vh_decoder decoder;
    struct vh_frame frame;
    size_t piece = len > 0 ? bytes[0] + 1u : 1u;

    vh_decoder_init(&decoder, (uint8_t *)buffer);
    while (len > 0) {
        const uint8_t *at = bytes;
        size_t part = piece < len ? piece : len;
        size_t left = part;

        while (vh_decoder_feed(&decoder, &at, &left, &frame)) {
            read_payload(&frame);
            check_round_trip(&frame);
        }
        if (left != 0)
            abort();
        bytes += part;
        len -= part;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2 || len > VH_PAYLOAD_MAX)
        return 0;
    if (bytes[0] % 2 == 0) {
        read_stream(bytes + 1, len - 1);
    } else {
        /* Its own allocation of the exact size, so that one byte too far is seen. */
        uint8_t *payload = malloc(len - 2 ? len - 2 : 1);
        struct vh_frame frame = {
            .type = bytes[1], .version = 1, .len = (uint32_t)(len - 2), .data = payload};

        memcpy(payload, bytes + 2, len - 2);
        read_payload(&frame);
        free(payload);
    }
    return 0;
}
