/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the placement share while one plan is made. For the files of this
 * folder only. */
#pragma once

#include "placement/placement.h"

struct vh_place_guest {
    struct vh_cpuset usable; /* rule 1; empty when the guest is refused */
    unsigned usable_count;
    bool refused;         /* rule 6 */
    unsigned first_group; /* in `homes` */
    unsigned group_count; /* at most VH_PLACEMENT_GROUPS_MAX */
    unsigned unplaced;    /* anchors still to be placed */
};

struct vh_place_cpu {
    unsigned anchors;
    unsigned strict; /* those of guests without overcommit */
};

struct vh_place_core {
    unsigned anchors;
    unsigned guarded; /* those of guests that do not ignore siblings */
    int owner;        /* the guest with all its anchors; VH_OWNER_* */
};
#define VH_OWNER_NONE (-1)
#define VH_OWNER_MIXED (-2)

/* Of an L3 or node. */
struct vh_place_use {
    unsigned anchors;
    unsigned members; /* floating vCPUs of the groups at home there */
};

/* Where a group is. */
struct vh_place_home {
    enum vh_level level; /* NONE while not decided */
    unsigned domain;     /* L3 or node */
};

struct vh_place_state {
    const struct vh_placement_input *in;
    const struct vh_topology *topology;
    struct vh_plan *plan;
    struct vh_place_guest *guests;
    struct vh_cpuset dedicated; /* all accepted dedicated pools */
    struct vh_cpuset free;      /* without anchors */
    struct vh_cpuset strict;    /* with an anchor that shares with nobody */
    struct vh_place_cpu *cpus;
    struct vh_place_core *cores;
    uint16_t *core_load; /* permille; NULL: not known */
    struct vh_place_use *l3s;
    struct vh_place_use *nodes;
    struct vh_place_home *homes; /* of all groups */
    int16_t *group_of;           /* of each thread of the plan: group within its guest; -1: none */
    GArray *sets;                /* struct vh_cpuset */
    GArray *problems;            /* struct vh_problem */
    int *cpu_set;                /* of each CPU: the set with it alone; -1: not made yet */
};

/* state.c */
int vh_place_add_set(struct vh_place_state *state, const struct vh_cpuset *set);
void vh_place_problem(struct vh_place_state *state, enum vh_reason reason, unsigned guest,
                      int thread);

/* score.c: anchors. */
bool vh_place_can_stay(const struct vh_place_state *state, unsigned guest, int cpu);
void vh_place_anchor(struct vh_place_state *state, unsigned guest, unsigned thread, unsigned cpu);
/* Rule 7. */
void vh_place_leave(struct vh_place_state *state, const struct vh_placement_left *left);
/* The best CPU for a new anchor, -1: none. `home`: its group's, NULL without. */
int vh_place_choose(const struct vh_place_state *state, unsigned guest, unsigned vcpu,
                    const struct vh_place_home *home);

/* group.c: the homes of all groups, those that stay first. After the anchors that stay, before the
 * new.
 */
void vh_place_groups(struct vh_place_state *state);

/* float.c: all threads without an anchor, and every reason. Last. */
void vh_place_rest(struct vh_place_state *state);

/* check.c: aborts if the plan breaks a rule. Of a plan that has all its sets, before the state
 * ends.
 */
void vh_place_check(const struct vh_place_state *state);

/* The CPUs of a home, or NULL for the whole pool. */
static inline const struct vh_cpuset *vh_place_home_cpus(const struct vh_place_state *state,
                                                         const struct vh_place_home *home)
{
    if (home->level == VH_LEVEL_L3)
        return &state->topology->l3s[home->domain].cpus;
    if (home->level == VH_LEVEL_NODE)
        return &state->topology->nodes[home->domain].cpus;
    return NULL;
}

static inline bool vh_place_anchor_wished(const struct vh_placement_guest *guest, unsigned vcpu)
{
    return guest->anchors && vh_mask_has(guest->anchors, vcpu);
}

/* Where a vCPU is anchored before this plan; -1: it has no CPU of its own. */
static inline int vh_place_current_cpu(const struct vh_placement_guest *guest, unsigned vcpu)
{
    return vcpu < guest->current_count && guest->current[vcpu].level == VH_LEVEL_CPU
               ? guest->current[vcpu].cpu
               : -1;
}

static inline bool vh_place_near_memory(const struct vh_place_state *state, unsigned guest,
                                        unsigned node)
{
    const struct vh_cpuset *memory = state->in->guests[guest].memory_nodes;

    return !memory || vh_cpuset_empty(memory) ||
           vh_cpuset_has(memory, state->topology->nodes[node].number);
}
