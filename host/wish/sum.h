/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wishes in the making: what rules.c finds that rules ask for, summed up vCPU by vCPU. */
#pragma once

#include "base/cpu-map.h"
#include "placement/near.h"
#include "wish/held.h"
#include "wish/wish.h"

/* ---- masks of guest CPUs ---- */

static inline unsigned vh_mask_weight(const struct vh_mask *mask)
{
    unsigned count = 0;

    for (unsigned i = 0; i < VH_MASK_WORDS; i++)
        count += (unsigned)__builtin_popcountll(mask->words[i]);
    return count;
}

/* The first CPU of the mask that is `from` or higher; VH_CPUS_MAX: none. */
static inline unsigned vh_mask_next(const struct vh_mask *mask, unsigned from)
{
    for (unsigned i = from / 64; i < VH_MASK_WORDS; i++) {
        uint64_t bits = mask->words[i];

        if (i == from / 64)
            bits &= ~(uint64_t)0 << (from % 64);
        if (bits)
            return i * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return VH_CPUS_MAX;
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

/* Do all of its CPUs have a vCPU? */
enum vh_verdict vh_mask_judge(const struct vh_mask *mask, const struct vh_cpu_map *map);

/* ---- a round ---- */

struct vh_wish_group {
    struct vh_mask mask;
    const char *rule;
    const struct vh_rule *tried; /* as struct vh_wish's */
};

struct vh_wish_round {
    struct vh_wish *wishes;
    unsigned count;
    const struct vh_cpu_map *map;
    struct vh_wish_group groups[VH_CPUS_MAX / 2 + 1]; /* disjoint, of two CPUs or more each */
    unsigned group_count;
    bool held; /* no fact asks for what is added now */
    struct vh_mask floats;
    bool float_all;
    struct vh_ram_wish ram;
    GArray *nears;
    uint64_t strength; /* of the fact that is looked at */
};

/* A rule asks for its action upon `mask`. `figure`: NAN for none. */
void vh_wish_round_add(struct vh_wish_round *round, const struct vh_rule *rule,
                       const struct vh_mask *mask, double figure);
/* A fact that a memory rule is about, whether its condition holds or not. */
void vh_wish_round_note_room(struct vh_wish_round *round, const struct vh_bound_rule *bound,
                             const uint8_t *record);
/* All is added: fills the wishes. Of anchors, `most` are granted: those in `anchored` (vCPUs by
 * their position; then what is granted now), then those of the lowest vCPUs. */
void vh_wish_round_end(struct vh_wish_round *round, unsigned most, struct vh_mask *anchored);
