/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wishes in the making: what rules ask for, summed up vCPU by vCPU. For actions, and for who adds
 * by them. */
#pragma once

#include "action/wish.h"
#include "base/cpu-map.h"
#include "base/mask.h"
#include "placement/near.h"

/* Vcpus that wish to be together, by the guest CPUs that they serve. */
struct vh_sum_group {
    struct vh_mask mask;
    const struct vh_rule *rule;
    const struct vh_rule *tried; /* as struct vh_wish's */
};

/* A rule asks for its action. */
struct vh_ask {
    const struct vh_rule *rule;
    const struct vh_mask *mask; /* guest CPUs */
    double figure;              /* the guest's own; NAN: none */
    uint64_t number;            /* that the second field says; 0: there is none */
    bool held;                  /* no fact asks any longer */
};

struct vh_sum {
    struct vh_wish *wishes;
    unsigned count;
    const struct vh_cpu_map *map;
    struct vh_sum_group groups[VH_CPUS_MAX / 2 + 1]; /* disjoint, of two CPUs or more each */
    unsigned group_count;
    struct vh_mask floats;
    bool float_all;
    struct vh_ram_wish ram;
    GArray *nears; /* struct vh_near */
};

/* Do all of its CPUs have a vCPU? */
enum vh_verdict vh_mask_judge(const struct vh_mask *mask, const struct vh_cpu_map *map);

/* The wish of the vCPU that serves guest CPU `cpu`; NULL: none does now. */
struct vh_wish *vh_sum_wish(const struct vh_sum *sum, unsigned cpu);

/* The one of the two with the lower name, so that it does not depend on the order of facts. `a` may
 * be NULL. */
const struct vh_rule *vh_sum_first(const struct vh_rule *a, const struct vh_rule *b);
/* The same, of those that are on trial; `a` and the result may be NULL. */
const struct vh_rule *vh_sum_tried(const struct vh_rule *a, const struct vh_rule *b);

/* At most `most` anchors stay: those in `anchored` (vCPUs by their position; then what is granted
 * now), then those of the lowest vCPUs. The others are left with their group. */
void vh_sum_limit(struct vh_sum *sum, unsigned most, struct vh_mask *anchored);
