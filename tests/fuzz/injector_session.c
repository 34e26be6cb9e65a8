/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The injector's side of the channel under any bytes.
 *
 * The input is a list of steps, each a byte that says what, and its operands: raw bytes; a frame
 * around a payload from the input (a CRC would keep a fuzzer from making one); reading what waits;
 * losing the host; a hint; a program's trouble, in any words; the end of a load or walk that took
 * its time. Whatever comes out must be well-formed, stay within its bounds and within the credit.
 */
#include <errno.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

#define PAYLOAD_MAX 4096u
#define PENDING_MAX 200u

/* What the session has asked for and that has not ended. */
struct pending {
    struct vh_ticket ticket;
    struct vh_transfer transfer; /* of a load */
    uint32_t program;            /* of facts; 0: a load */
};

struct fuzz {
    struct vh_session session;
    struct vh_decoder decoder; /* of what comes out */
    uint32_t count;
    uint32_t last_id;
    char names[VH_PROGRAMS_MAX][VH_NAME_SIZE];
    uint32_t ids[VH_PROGRAMS_MAX];
    bool slow;                     /* what is begun ends later */
    char trouble[VH_TROUBLE_SIZE]; /* of each third program */
    struct pending pending[PENDING_MAX];
    uint32_t pending_count;
};

static void on_opened(void *context)
{
    (void)context;
}

static int run_load(struct fuzz *fuzz, const struct vh_transfer *transfer, struct vh_reply *reply)
{
    volatile uint8_t sum = 0;

    for (uint32_t i = 0; i < transfer->load.size; i++)
        sum = (uint8_t)(sum + transfer->object[i]);
    for (const char *t = transfer->tunables; t < transfer->tunables + transfer->load.tunables_len;
         t += strlen(t) + 1) {
        if (!strchr(t, '='))
            abort();
    }
    if (sum % 2) {
        reply->log = malloc(sum + 1u);
        reply->log_len = sum;
        memset(reply->log, 'l', sum);
        return -EACCES;
    }
    for (uint32_t i = 0; i < fuzz->count; i++) {
        if (strcmp(fuzz->names[i], transfer->load.name) == 0) {
            if (!(transfer->load.flags & VH_LOAD_REPLACE))
                return -EEXIST;
            reply->program = fuzz->ids[i] = ++fuzz->last_id;
            return 0;
        }
    }
    if (fuzz->count == VH_PROGRAMS_MAX)
        return -ENOSPC;
    memcpy(fuzz->names[fuzz->count], transfer->load.name, VH_NAME_SIZE);
    reply->program = fuzz->ids[fuzz->count++] = ++fuzz->last_id;
    return 0;
}

static void end_load(struct fuzz *fuzz, struct pending *pending)
{
    struct vh_reply reply = {0};
    int error = -ECANCELED;

    if (vh_session_waits(&fuzz->session, pending->ticket))
        error = run_load(fuzz, &pending->transfer, &reply);
    if (error == 0)
        vh_session_send_programs(&fuzz->session);
    vh_session_done(&fuzz->session, pending->ticket, error, &reply);
    vh_transfer_end(&pending->transfer);
}

/* A different number of records of a different size for each program. */
static void end_facts(struct fuzz *fuzz, const struct pending *pending)
{
    uint32_t program = pending->program;
    struct vh_hint hint = {.size = (uint16_t)(24 + 40 * (program % 100)), .kind = 1};
    struct vh_facts facts = {.error = program % 5 ? 0 : -ELOOP, .text = "why"};
    size_t count = program % 7 * 500;

    if (program % 11 == 0) {
        facts.error = -EIO;
    } else {
        facts.records = malloc(count * hint.size + 1);
        facts.len = count * hint.size;
        memset(facts.records, 0, facts.len);
    }
    for (size_t i = 0; facts.records && i < count; i++)
        memcpy(facts.records + i * hint.size, &hint, sizeof(hint));
    vh_session_facts(&fuzz->session, pending->ticket, program, &facts);
}

static void end_pending(struct fuzz *fuzz, uint32_t at)
{
    struct pending pending = fuzz->pending[at];

    fuzz->pending[at] = fuzz->pending[--fuzz->pending_count];
    if (pending.program)
        end_facts(fuzz, &pending);
    else
        end_load(fuzz, &pending);
}

static void pend(struct fuzz *fuzz, struct pending pending)
{
    fuzz->pending[fuzz->pending_count++] = pending;
    if (!fuzz->slow || fuzz->pending_count == PENDING_MAX)
        end_pending(fuzz, fuzz->pending_count - 1);
}

static void on_load(void *context, struct vh_ticket ticket, struct vh_transfer *transfer)
{
    pend(context, (struct pending){ticket, vh_transfer_take(transfer), 0});
}

static void on_unload(void *context, struct vh_ticket ticket, const char *name)
{
    struct fuzz *fuzz = context;
    struct vh_reply reply = {0};
    int error = -ENOENT;

    if (fuzz->count > 0 && strcmp(fuzz->names[fuzz->count - 1], name) == 0) {
        fuzz->count--;
        error = 0;
        vh_session_send_programs(&fuzz->session);
    }
    vh_session_done(&fuzz->session, ticket, error, &reply);
}

static const char *on_trouble(void *context, uint32_t program)
{
    const struct fuzz *fuzz = context;

    return program % 3 ? "" : fuzz->trouble;
}

/* As an object's names have it: any bytes. */
static void trouble_step(struct fuzz *fuzz, uint8_t program, const uint8_t *bytes, size_t len)
{
    len = len < sizeof(fuzz->trouble) - 1 ? len : sizeof(fuzz->trouble) - 1;
    memset(fuzz->trouble, 0, sizeof(fuzz->trouble));
    memcpy(fuzz->trouble, bytes, len);
    vh_session_send_trouble(&fuzz->session, program ? program : 1u);
}

static uint32_t on_programs(void *context, struct vh_program programs[VH_PROGRAMS_MAX])
{
    struct fuzz *fuzz = context;

    for (uint32_t i = 0; i < fuzz->count; i++) {
        programs[i] = (struct vh_program){.id = fuzz->ids[i], .flags = VH_PROGRAM_STATE};
        memcpy(programs[i].name, fuzz->names[i], VH_NAME_SIZE);
    }
    return fuzz->count;
}

static uint32_t on_cpus(void *context, struct vh_cpu cpus[VH_CPUS_MAX])
{
    (void)context;
    for (uint32_t i = 0; i < 4; i++)
        cpus[i] = (struct vh_cpu){.cpu = i, .apic_id = i};
    return 4;
}

static void on_facts(void *context, struct vh_ticket ticket, uint32_t program)
{
    pend(context, (struct pending){.ticket = ticket, .program = program});
}

static uint64_t on_now(void *context)
{
    (void)context;
    return 1;
}

static const struct vh_session_ops ops = {on_opened,  on_load, on_unload, on_programs,
                                          on_trouble, on_cpus, on_facts,  on_now};

static void check_frame(const struct vh_frame *frame)
{
    static struct vh_cpu cpus[VH_CPUS_MAX];
    static struct vh_program programs[VH_PROGRAMS_MAX];
    struct vh_records records;
    struct vh_answer answer;
    struct vh_batch batch;
    struct vh_hello hello;
    struct vh_trouble trouble;
    struct vh_pong pong;
    const char *text;
    const char *log;
    uint32_t count;
    int error = -1;

    if (frame->type == VH_HELLO)
        error = vh_msg_hello(frame, &hello);
    else if (frame->type == VH_CPUS)
        error = vh_msg_cpus(frame, cpus, &count);
    else if (frame->type == VH_PROGRAMS)
        error = vh_msg_programs(frame, programs, &count);
    else if (frame->type == VH_HINTS || frame->type == VH_SNAPSHOT)
        error = vh_msg_batch(frame, &batch, &records);
    else if (frame->type == VH_ANSWER)
        error = vh_msg_answer(frame, &answer, &text, &log);
    else if (frame->type == VH_PONG)
        error = vh_msg_pong(frame, &pong);
    else if (frame->type == VH_TROUBLE)
        error = vh_msg_trouble(frame, &trouble, &text);
    if (error)
        abort();
}

/* Each program has its turns. */
static void pump(struct fuzz *fuzz)
{
    bool any;

    do {
        vh_session_pump(&fuzz->session);
        any = false;
        for (uint32_t i = 0; i < fuzz->count; i++)
            any |= vh_session_part(&fuzz->session, fuzz->ids[i]);
    } while (any);
}

/* The host reads everything that waits. */
static void read_out(struct fuzz *fuzz)
{
    size_t len;
    const uint8_t *bytes = vh_out_waiting(&fuzz->session.out, &len);
    size_t all = len;
    struct vh_frame frame;

    if (len > VH_OUT_SIZE)
        abort();
    while (vh_decoder_feed(&fuzz->decoder, &bytes, &len, &frame))
        check_frame(&frame);
    if (fuzz->decoder.counters.bad || fuzz->decoder.counters.oversize)
        abort();
    vh_out_written(&fuzz->session.out, all);
    pump(fuzz);
}

static void input(struct fuzz *fuzz, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t taken = vh_session_input(&fuzz->session, bytes, len);

        if (taken < len)
            read_out(fuzz);
        bytes += taken;
        len -= taken;
    }
}

static void hint(struct fuzz *fuzz)
{
    uint8_t record[24] = {24, 0, 1, 0};
    struct vh_batch batch = {.program = 1, .count = 1};

    if (vh_session_room(&fuzz->session, 1) >= sizeof(record))
        vh_session_hints(&fuzz->session, &batch, record, sizeof(record));
}

static void frame_step(struct fuzz *fuzz, uint8_t type, uint8_t id, const uint8_t *bytes,
                       size_t len)
{
    static uint8_t wire[VH_FRAME_ENCODED(PAYLOAD_MAX + 64)];
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = len};
    uint8_t version = type == VH_HELLO ? 0 : 1;
    long size = vh_frame_encode(wire, sizeof(wire), (enum vh_type)type, version, id, &part, 1);

    if (size <= 0)
        abort();
    input(fuzz, wire, (size_t)size);
}

/* A whole LOAD: its digest cannot be guessed either. */
static void load_step(struct fuzz *fuzz, uint8_t name, uint8_t id, const uint8_t *bytes, size_t len)
{
    uint8_t chunk[sizeof(struct vh_chunk) + PAYLOAD_MAX] = {0};
    struct vh_load load = {
        .size = (uint32_t)len, .flags = name & VH_LOAD_REPLACE, .name = {(char)('a' + name % 64)}};

    crypto_hash_sha256(load.digest, bytes, len);
    memcpy(chunk + sizeof(struct vh_chunk), bytes, len);
    frame_step(fuzz, VH_LOAD, id, (const uint8_t *)&load, sizeof(load));
    frame_step(fuzz, VH_CHUNK, id, chunk, sizeof(struct vh_chunk) + len);
}

static void hello_step(struct fuzz *fuzz, uint8_t number, uint8_t credit)
{
    struct vh_hello hello = {
        .magic = VH_HELLO_MAGIC,
        .version_min = 1,
        .version_max = 1,
        .session = number + 1u,
        .peer = 77,
        .role = VH_ROLE_HOST,
        .credit = credit * 1000u,
    };

    frame_step(fuzz, VH_HELLO, 0, (const uint8_t *)&hello, sizeof(hello));
}

/* Takes a step off the input; returns its length. */
static size_t take_step(struct fuzz *fuzz, const uint8_t *bytes, size_t len)
{
    size_t operand;

    if (len < 5)
        return len;
    operand = bytes[3] < 200 ? bytes[3] : (bytes[3] - 200u) * 70u;
    operand = operand > len - 4 ? len - 4 : operand;
    switch (bytes[0] % 11) {
    case 0:
        input(fuzz, bytes + 4, operand);
        return 4 + operand;
    case 1:
    case 2:
        frame_step(fuzz, bytes[1], bytes[2], bytes + 4, operand);
        return 4 + operand;
    case 3:
        hello_step(fuzz, bytes[1], bytes[2]);
        return 3;
    case 4:
        read_out(fuzz);
        return 1;
    case 5:
        hint(fuzz);
        return 1;
    case 6:
        vh_session_close(&fuzz->session);
        vh_decoder_reset(&fuzz->decoder);
        vh_session_open(&fuzz->session, 77);
        return 1;
    case 7:
        load_step(fuzz, bytes[1], bytes[2], bytes + 4, operand);
        return 4 + operand;
    case 8:
        vh_session_send_cpus(&fuzz->session);
        read_out(fuzz);
        return 1;
    case 9:
        fuzz->slow = bytes[1] % 2;
        if (bytes[1] < 128)
            return 2;
        trouble_step(fuzz, bytes[2], bytes + 4, operand);
        return 4 + operand;
    default:
        if (fuzz->pending_count > 0)
            end_pending(fuzz, bytes[1] % fuzz->pending_count);
        pump(fuzz);
        return 2;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint64_t buffer[VH_DECODER_BUFFER / sizeof(uint64_t) + 1];
    static struct fuzz fuzz;
    struct vh_hello self = {.release = "fuzz", .agent = "fuzz"};

    memset(&fuzz, 0, sizeof(fuzz));
    strcpy(fuzz.trouble, "something is wrong");
    vh_decoder_init(&fuzz.decoder, (uint8_t *)buffer);
    if (vh_session_init(&fuzz.session, &self, &ops, &fuzz))
        return 0;
    vh_session_open(&fuzz.session, 77);
    hello_step(&fuzz, 1, 100);
    while (len > 0) {
        size_t used = take_step(&fuzz, bytes, len);

        bytes += used;
        len -= used;
    }
    read_out(&fuzz);
    while (fuzz.pending_count > 0)
        end_pending(&fuzz, fuzz.pending_count - 1);
    vh_session_free(&fuzz.session);
    return 0;
}
