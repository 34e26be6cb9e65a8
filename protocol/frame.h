/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames on a byte stream: COBS with a zero byte as the end mark, CRC-32 inside.
 *
 * Because a zero byte never occurs inside an encoded frame, a receiver finds the next frame after
 * anything: a peer that died mid-frame, garbage, a lost byte. A sender that opens a channel
 * therefore sends one zero first. No I/O and no allocation: buffers are the caller's. Errors are 0
 * or -errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire.h"

/* Bytes of a frame before encoding, and the room its encoding may take (with the end mark). */
#define VH_FRAME_RAW(len) (sizeof(struct vh_frame_header) + (len) + 4u)
#define VH_FRAME_ENCODED(len) (VH_FRAME_RAW(len) + VH_FRAME_RAW(len) / 254u + 2u)
#define VH_DECODER_BUFFER VH_FRAME_ENCODED(VH_PAYLOAD_MAX)

/* One received frame; `data` points into the decoder's buffer (8-byte aligned) and lives until the
 * next call. */
struct vh_frame {
    uint8_t type;
    uint8_t version;
    uint32_t id;
    uint32_t len; /* bytes of payload */
    const uint8_t *data;
};

/* Everything a decoder has seen; only ever grows. */
struct vh_decoder_counters {
    uint64_t frames;
    uint64_t bad;      /* ended, but not decodable, too short, or with a wrong CRC */
    uint64_t oversize; /* longer than any frame may be */
};

struct vh_decoder {
    uint8_t *buffer; /* VH_DECODER_BUFFER bytes, 8-byte aligned, the caller's */
    size_t used;
    bool skipping; /* until the next end mark: the frame is too long */
    struct vh_decoder_counters counters;
};

void vh_decoder_init(struct vh_decoder *decoder, uint8_t buffer[VH_DECODER_BUFFER]);

/* Forgets a half-received frame; the counters stay. For when the peer is known to have gone. */
void vh_decoder_reset(struct vh_decoder *decoder);

/* Takes bytes from `*in` (advancing it and shortening `*len`) up to the end of one good frame.
 * 1: `*frame` is set, call again for the rest; 0: all bytes are taken and no further frame is
 * complete. Bad frames are counted and passed over. */
int vh_decoder_feed(struct vh_decoder *decoder, const uint8_t **in, size_t *len,
                    struct vh_frame *frame);

/* Encodes one frame whose payload is the concatenation of `parts` into `out`.
 * Returns the bytes written, -EMSGSIZE for a payload over VH_PAYLOAD_MAX, -ENOBUFS when `size` is
 * less than VH_FRAME_ENCODED(payload). */
long vh_frame_encode(uint8_t *out, size_t size, enum vh_type type, uint8_t version, uint32_t id,
                     const struct iovec *parts, int count);
