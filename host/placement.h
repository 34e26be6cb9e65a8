/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides which host CPU each wanting vCPU gets. Pure.
 *
 * Rules, in this order: no two anchors on one host CPU; only CPUs of the guest's pool that are online; what is
 * placed stays where it is; a core without another anchor before one with; the L3 of the guest's other anchors
 * before another; the lowest number. A group goes to the L3 (or NUMA node) with most of its anchors, then most
 * CPUs of the pool; where the pool has only one, there is nothing to decide and the group floats. */
#pragma once

#include "policy.h"
#include "topology.h"

enum vh_place_why {
    VH_PLACE_NOT_ASKED,  /* floats: no task asks for anything */
    VH_PLACE_ANCHOR,     /* placed on `cpu` */
    VH_PLACE_GROUP,      /* placed in `domain` */
    VH_PLACE_ONE_DOMAIN, /* a group, floats: the pool is one domain */
    VH_PLACE_EXHAUSTED,  /* unplaced: every CPU of the pool has its anchor */
    VH_PLACE_OFFLINE,    /* unplaced: no CPU of the pool is online */
    VH_PLACE_WHY_COUNT
};

/* One vCPU of one guest: what it wants, where it is, where it goes. */
struct vh_place {
    unsigned guest; /* equal for the vCPUs of one guest */
    const struct vh_cpuset *pool;
    struct vh_wish wish;
    int cpu_now;    /* the host CPU it is anchored on, -1: none */
    int domain_now; /* the domain its group is in, -1: none */
    /* the plan */
    int cpu;    /* -1: none */
    int domain; /* -1: none */
    enum vh_place_why why;
};

void vh_placement_plan(struct vh_place *places, unsigned count, const struct vh_topology *topology);

/* The host CPUs that a planned place allows; false: the vCPU floats. */
bool vh_place_cpus(const struct vh_place *place, const struct vh_topology *topology, struct vh_cpuset *cpus);

/* The reason for people. g_free() it. */
char *vh_place_reason(const struct vh_place *place);
