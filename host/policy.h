/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the facts of one guest ask for, vCPU by vCPU. Pure.
 *
 * Acts on hints whose struct is called "affinity" and has a field "mask", an array of 64-bit words with one bit
 * per guest CPU: tasks bound to exactly one guest CPU anchor its vCPU; tasks bound to several make those vCPUs a
 * group, and groups that share a vCPU are one. A mask that names no CPU, or one that the guest's CPU map does not
 * have, asks for nothing. */
#pragma once

#include "facts.h"
#include "vcpus.h"

enum vh_wish_kind { VH_WISH_NONE, VH_WISH_ANCHOR, VH_WISH_GROUP };

struct vh_wish {
    enum vh_wish_kind kind;
    unsigned tasks; /* that ask for it */
    unsigned group; /* GROUP: number of the group, from 1 */
    int guest_cpu;  /* ANCHOR: the guest CPU that the tasks are bound to */
};

/* For people: "2 tasks bound to guest CPU 3". g_free() it. */
char *vh_wish_text(const struct vh_wish *wish);

/* What can be wrong with a hint, for the count and the journal. */
enum vh_verdict {
    VH_VERDICT_OK,
    VH_VERDICT_OTHER,   /* not about affinity, says nothing here */
    VH_VERDICT_EMPTY,   /* the mask is all zeros */
    VH_VERDICT_BEYOND,  /* a CPU that the guest's CPU map does not have */
    VH_VERDICT_NO_VCPU, /* a CPU whose APIC id no vCPU has */
    VH_VERDICT_COUNT
};
const char *vh_verdict_text(enum vh_verdict verdict);

enum vh_verdict vh_policy_judge(const struct vh_kind *kind, const uint8_t *record, const struct vh_cpu_map *map);

/* Fills one wish for each of the guest's `count` vCPUs. */
void vh_policy_wishes(const VhFacts *facts, const struct vh_cpu_map *map, struct vh_wish *wishes, unsigned count);
