// SPDX-License-Identifier: GPL-2.0-or-later
// Encodes and decodes frames: see frame.h for the contract.
//
// COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999): the bytes up to each zero
// become a block that starts with its length + 1; the zero itself is implied, except after a block
// of 254 bytes.
#include "frame.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#define BLOCK_MAX 254u
#define CRC_SIZE 4u

void vh_decoder_init(struct vh_decoder *decoder, uint8_t buffer[VH_DECODER_BUFFER])
{
    *decoder = (struct vh_decoder){.buffer = buffer};
}

void vh_decoder_reset(struct vh_decoder *decoder)
{
    decoder->used = 0;
    decoder->skipping = false;
}

/* Decodes in place (the result is never longer); the decoded bytes, or -1 when it is no COBS. */
static long cobs_decode(uint8_t *bytes, size_t len)
{
    size_t in = 0;
    size_t out = 0;

    while (in < len) {
        size_t block = bytes[in++] - 1u;

        if (block > len - in)
            return -1;
        memmove(bytes + out, bytes + in, block);
        in += block;
        out += block;
        if (block < BLOCK_MAX && in < len)
            bytes[out++] = 0;
    }
    return (long)out;
}

/* Checks one ended frame in the buffer; true when `*frame` was set. */
static bool frame_complete(struct vh_decoder *decoder, struct vh_frame *frame)
{
    struct vh_frame_header header;
    long raw = cobs_decode(decoder->buffer, decoder->used);
    uint32_t crc;
    size_t body;

    if (raw < (long)VH_FRAME_RAW(0) || raw > (long)VH_FRAME_RAW(VH_PAYLOAD_MAX))
        return false;
    body = (size_t)raw - CRC_SIZE;
    memcpy(&crc, decoder->buffer + body, CRC_SIZE);
    if (crc != crc32(0, decoder->buffer, (uInt)body))
        return false;
    memcpy(&header, decoder->buffer, sizeof(header));
    if (header.reserved != 0)
        return false;
    *frame = (struct vh_frame){
        .type = header.type,
        .version = header.version,
        .id = header.id,
        .len = (uint32_t)(body - sizeof(header)),
        .data = decoder->buffer + sizeof(header),
    };
    return true;
}

/* Keeps `len` bytes of an unfinished frame, or starts skipping it when it is longer than any frame.
 */
static void frame_append(struct vh_decoder *decoder, const uint8_t *bytes, size_t len)
{
    if (decoder->skipping)
        return;
    if (len > VH_DECODER_BUFFER - decoder->used) {
        decoder->skipping = true;
        decoder->counters.oversize++;
        return;
    }
    memcpy(decoder->buffer + decoder->used, bytes, len);
    decoder->used += len;
}

int vh_decoder_feed(struct vh_decoder *decoder, const uint8_t **in, size_t *len,
                    struct vh_frame *frame)
{
    while (*len > 0) {
        const uint8_t *end = memchr(*in, 0, *len);
        size_t part = end ? (size_t)(end - *in) : *len;
        bool complete = false;

        frame_append(decoder, *in, part);
        *in += part;
        *len -= part;
        if (!end)
            break;
        *in += 1;
        *len -= 1;
        if (!decoder->skipping && decoder->used > 0) {
            complete = frame_complete(decoder, frame);
            if (!complete)
                decoder->counters.bad++;
        }
        vh_decoder_reset(decoder);
        if (complete) {
            decoder->counters.frames++;
            return 1;
        }
    }
    return 0;
}

/* Where the encoder stands: the block being filled begins at `code`, its length byte. */
struct encoder {
    uint8_t *out;
    size_t code;
    size_t at;
};

static void encode_close_block(struct encoder *e)
{
    e->out[e->code] = (uint8_t)(e->at - e->code);
    e->code = e->at++;
}

static void encode_bytes(struct encoder *e, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t room = BLOCK_MAX - (e->at - e->code - 1);
        size_t part = len < room ? len : room;
        const uint8_t *zero = memchr(bytes, 0, part);
        size_t run = zero ? (size_t)(zero - bytes) : part;

        memcpy(e->out + e->at, bytes, run);
        e->at += run;
        bytes += run;
        len -= run;
        if (zero) {
            bytes++;
            len--;
            encode_close_block(e);
        } else if (e->at - e->code - 1 == BLOCK_MAX) {
            encode_close_block(e);
        }
    }
}

long vh_frame_encode(uint8_t *out, size_t size, enum vh_type type, uint8_t version, uint32_t id,
                     const struct iovec *parts, int count)
{
    struct vh_frame_header header = {.type = (uint8_t)type, .version = version, .id = id};
    struct encoder e = {.out = out, .code = 0, .at = 1};
    uLong crc = crc32(0, (const Bytef *)&header, sizeof(header));
    uint32_t crc_bytes;
    size_t len = 0;

    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > VH_PAYLOAD_MAX - len)
            return -EMSGSIZE;
        len += parts[i].iov_len;
    }
    if (size < VH_FRAME_ENCODED(len))
        return -ENOBUFS;

    encode_bytes(&e, (const uint8_t *)&header, sizeof(header));
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len == 0)
            continue;
        crc = crc32(crc, parts[i].iov_base, (uInt)parts[i].iov_len);
        encode_bytes(&e, parts[i].iov_base, parts[i].iov_len);
    }
    crc_bytes = (uint32_t)crc;
    encode_bytes(&e, (const uint8_t *)&crc_bytes, CRC_SIZE);
    e.out[e.code] = (uint8_t)(e.at - e.code);
    e.out[e.at++] = 0;
    return (long)e.at;
}
