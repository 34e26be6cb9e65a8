/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of guest CPUs: a value. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

#define VH_MASK_WORDS (VH_CPUS_MAX / 64)

struct vh_mask {
    uint64_t words[VH_MASK_WORDS];
};

static inline unsigned vh_mask_weight(const struct vh_mask *mask)
{
    unsigned count = 0;

    for (unsigned i = 0; i < VH_MASK_WORDS; i++)
        count += (unsigned)__builtin_popcountll(mask->words[i]);
    return count;
}

/* Has it more than one? */
static inline bool vh_mask_several(const struct vh_mask *mask)
{
    bool one = false;

    for (unsigned i = 0; i < VH_MASK_WORDS; i++) {
        uint64_t bits = mask->words[i];

        if (!bits)
            continue;
        if (one || (bits & (bits - 1)))
            return true;
        one = true;
    }
    return false;
}

/* The first CPU of the mask that is `from` or higher; VH_CPUS_MAX: none. */
static inline unsigned vh_mask_next(const struct vh_mask *mask, unsigned from)
{
    unsigned word = from / 64;
    uint64_t bits = 0;

    if (word >= VH_MASK_WORDS)
        return VH_CPUS_MAX;
    bits = mask->words[word] & ~(uint64_t)0 << (from % 64);
    while (!bits) {
        if (++word == VH_MASK_WORDS)
            return VH_CPUS_MAX;
        bits = mask->words[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(bits);
}

static inline bool vh_mask_has(const struct vh_mask *mask, unsigned cpu)
{
    return cpu < VH_CPUS_MAX && (mask->words[cpu / 64] >> (cpu % 64) & 1);
}

static inline void vh_mask_add(struct vh_mask *mask, unsigned cpu)
{
    if (cpu < VH_CPUS_MAX)
        mask->words[cpu / 64] |= (uint64_t)1 << (cpu % 64);
}
