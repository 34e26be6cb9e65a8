/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's credit, and whose it is. Pure.
 *
 * Credit is for all programs alike, and one that floods would take all of it. So a quarter of what
 * the host's HELLO gave is kept back: of that, each program may use VH_CREDIT_SHARE bytes until the
 * host adds more. With VH_CREDIT_INITIAL these are the shares of VH_PROGRAMS_MAX programs.
 *
 * Invariants
 *  1. What is used was there.
 *  2. A program that has used nothing since the host last added credit finds a share, unless others
 * have used up theirs of what was kept back. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define VH_CREDIT_SHARE 8192u

struct vh_purse {
    uint64_t credit; /* bytes of HINTS and SNAPSHOT payload that may still be sent */
    uint64_t kept;   /* of them, what is for shares alone */
    uint32_t count;  /* of `used` */
    struct {
        uint32_t program;
        uint32_t bytes;
    } used[VH_PROGRAMS_MAX]; /* of shares, since credit was added */
};

/* A session begins, with this credit; 0: none is up. */
void vh_purse_begin(struct vh_purse *purse, uint64_t credit);
/* The host adds some. */
void vh_purse_add(struct vh_purse *purse, uint32_t bytes);
/* How many bytes the program may send now. */
size_t vh_purse_room(const struct vh_purse *purse, uint32_t program);
/* It sends so many, at most what vh_purse_room said. */
void vh_purse_use(struct vh_purse *purse, uint32_t program, size_t bytes);
