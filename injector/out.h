/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Encoded bytes that wait to be written: bounded, in order. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire.h"

#define VH_OUT_SIZE (512u << 10)
/* Above this many waiting bytes nothing that can wait is added: no ring is drained, no request is
 * read. The rest is room for whatever one request's handling may add. */
#define VH_OUT_FULL (128u << 10)

struct vh_out {
    uint8_t *bytes; /* VH_OUT_SIZE of them, owned */
    size_t head;    /* the first waiting byte */
    size_t tail;    /* behind the last */
};

/* 0 or -ENOMEM. */
int vh_out_init(struct vh_out *out);
void vh_out_free(struct vh_out *out);
void vh_out_clear(struct vh_out *out);
bool vh_out_full(const struct vh_out *out);

/* Adds an end mark, which ends whatever the peer may have half of. */
int vh_out_mark(struct vh_out *out);
/* Adds a frame; -EMSGSIZE or -ENOBUFS, nothing added then. */
int vh_out_frame(struct vh_out *out, enum vh_type type, uint8_t version, uint32_t id,
                 const struct iovec *parts, int count);

/* The waiting bytes; after writing some, tell how many. */
const uint8_t *vh_out_waiting(const struct vh_out *out, size_t *len);
void vh_out_written(struct vh_out *out, size_t len);
