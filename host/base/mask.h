/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of guest CPUs, or of vCPUs by their position: a value. */
#pragma once

#include "base/bits.h"
#include "wire.h"

#define VH_MASK_WORDS (VH_CPUS_MAX / 64)

struct vh_mask {
    uint64_t words[VH_MASK_WORDS];
};

static inline bool vh_mask_has(const struct vh_mask *mask, unsigned cpu)
{
    return cpu < VH_CPUS_MAX && vh_bits_has(mask->words, cpu);
}

static inline void vh_mask_add(struct vh_mask *mask, unsigned cpu)
{
    if (cpu < VH_CPUS_MAX)
        vh_bits_add(mask->words, cpu);
}

static inline void vh_mask_del(struct vh_mask *mask, unsigned cpu)
{
    if (cpu < VH_CPUS_MAX)
        vh_bits_del(mask->words, cpu);
}

/* The first CPU of the mask that is `from` or higher; VH_CPUS_MAX: none. */
static inline unsigned vh_mask_next(const struct vh_mask *mask, unsigned from)
{
    return vh_bits_next(mask->words, VH_MASK_WORDS, from);
}

static inline unsigned vh_mask_weight(const struct vh_mask *mask)
{
    return vh_bits_weight(mask->words, VH_MASK_WORDS);
}

static inline bool vh_mask_empty(const struct vh_mask *mask)
{
    return vh_bits_empty(mask->words, VH_MASK_WORDS);
}

/* Has it more than one? */
static inline bool vh_mask_several(const struct vh_mask *mask)
{
    return vh_bits_several(mask->words, VH_MASK_WORDS);
}

/* Have both a CPU in common? */
static inline bool vh_mask_touch(const struct vh_mask *a, const struct vh_mask *b)
{
    return vh_bits_touch(a->words, b->words, VH_MASK_WORDS);
}

static inline void vh_mask_or(struct vh_mask *mask, const struct vh_mask *other)
{
    vh_bits_or(mask->words, other->words, VH_MASK_WORDS);
}
