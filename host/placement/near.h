/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which vCPUs are kept together because their tasks have much to say to each other. Pure.
 *
 * What wants to be near joins into clusters, the strongest first, as long as a cluster finds room
 * under one L3; what would make it larger than that is left out, so that weak ties do not pull
 * apart what strong ones hold together. */
#pragma once

#include "placement/placement.h"

#define VH_NEAR_MAX 256u /* per guest */

struct vh_near {
    struct vh_mask vcpus; /* two or more */
    uint64_t strength;    /* higher is stronger */
    const void *by;       /* who asks; the caller's */
};

/* How many CPUs the best L3 has of those that `pool` (empty: all) allows and `reserved` (NULL:
 * none) leaves. Where none has two, as on virtual machines that are said to have an L3 for each
 * CPU, it is a NUMA node that counts. */
unsigned vh_near_room(const struct vh_topology *topology, const struct vh_cpuset *pool,
                      const struct vh_cpuset *reserved);

/* Sorts `nears`, and makes the first of them into clusters that share no vCPU, of `room` vCPUs at
 * most; `by` is that of a cluster's strongest. Returns how many there are. */
unsigned vh_near_join(struct vh_near *nears, unsigned count, unsigned room);
