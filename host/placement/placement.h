/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From wishes, topology, load and what is placed to a plan: which host CPUs each thread of each
 * guest may use, and why.
 *
 * Pure: no I/O, no clock, no globals; the same input gives the same plan, byte for byte. A plan
 * that is fed back as `current` with the same input comes out again.
 *
 * Rules:
 *  1. Nothing is placed on a CPU that is offline, outside the guest's pool, reserved for the host,
 *     or in another guest's dedicated pool.
 *  2. An anchor stays where it is while rule 1, and rule 4 for it, allow that. So a guest that
 *     comes, or an anchor that goes, moves nobody else; only a dedicated pool or a CPU going
 *     offline does.
 *  3. A new anchor goes, in this order, to the CPU with the fewest anchors, on the least contended
 *     core (`smt`), that is closest to its group, under the L3 with most room, near the guest's
 *     memory.
 *  4. Two anchors share a CPU only if both their guests allow overcommit. Else an anchor beyond the
 *     pool floats.
 *  5. A group's floating vCPUs share one L3 if that has a usable CPU for each member, else one NUMA
 *     node, else the pool. A group stays where it is while it fits there.
 *  6. If dedicated pools overlap, the guest that comes first in the input has its pool. The later
 *     one is left alone.
 *  7. A CPU that is `left` to a guest has one of its anchors, which moves nobody who is placed,
 *     wherever it is. New anchors go there only as rule 4 says; with a guest that is not known,
 *     none does. */
#pragma once

#include "base/mask.h"
#include "machine/topology.h"

/* ---- what the operator allows ---- */

/* What else may run on the core of an anchor. */
enum vh_smt {
    VH_SMT_AVOID,  /* no other anchor while a core of the pool is free of anchors */
    VH_SMT_PAIR,   /* anchors of the same guest fill a core, those of one group with one another;
                      another
                      guest's only once no core is free */
    VH_SMT_IGNORE, /* its own siblings count as CPUs like any other; cores that others guard as
                      under AVOID */
    VH_SMT_COUNT
};

/* Where a guest's vCPUs float. Those of a dedicated pool always keep to it. */
enum vh_float {
    VH_FLOAT_FREE, /* where they were before; in the pool as long as any guest has a dedicated one
                    */
    VH_FLOAT_POOL, /* in the pool */
    VH_FLOAT_NODE, /* on the pool's CPUs beside the guest's memory, or in the pool if it has none
                      there */
    VH_FLOAT_COUNT
};

/* Where a thread that is not a vCPU runs. */
enum vh_where {
    VH_WHERE_FREE,        /* as VH_FLOAT_FREE */
    VH_WHERE_POOL,        /* in the guest's pool */
    VH_WHERE_SET,         /* on `cpus`, which need not be in the pool */
    VH_WHERE_OFF_ANCHORS, /* in the pool, off the cores of the guest's anchors */
    VH_WHERE_COUNT
};

struct vh_helper {
    enum vh_where where;
    struct vh_cpuset cpus; /* VH_WHERE_SET */
};

struct vh_placement_options {
    struct vh_cpuset pool; /* empty: every CPU */
    bool dedicated;        /* no other guest uses the pool's CPUs */
    bool overcommit; /* anchors may share CPUs, evenly, once there are more of them than CPUs */
    bool
        off_anchors; /* floating vCPUs keep to the pool without the cores of this guest's anchors */
    enum vh_smt smt;
    enum vh_float floating;
    struct vh_helper emulator, iothreads, vhosts;
};

/* Every CPU, shared, no overcommit, SMT siblings avoided; nothing but anchors and groups is placed.
 */
void vh_placement_defaults(struct vh_placement_options *options);

/* Do they give the guest's threads beside its vCPUs a place? Others' dedicated pools may do so too.
 */
bool vh_placement_places_threads(const struct vh_placement_options *options);

/* ---- what is wished and what holds now ---- */

/* Why a thread is where it is, and what went wrong. */
enum vh_reason {
    VH_REASON_NONE,        /* nothing asks for a place: left alone */
    VH_REASON_ANCHOR,      /* anchored, no other anchor on its core */
    VH_REASON_ANCHOR_CORE, /* anchored, another anchor on a sibling CPU */
    VH_REASON_ANCHOR_CPU,  /* anchored, another anchor on its CPU (overcommit) */
    VH_REASON_GROUP_L3,    /* with its group under one L3 */
    VH_REASON_GROUP_NODE,  /* with its group on one NUMA node: no L3 has a CPU for each */
    VH_REASON_GROUP_WHOLE, /* floats: the whole pool is one L3 or node, which is as close as it gets
                            */
    VH_REASON_GROUP_SPREAD, /* floats: no L3 and no node has a CPU for each of the group */
    VH_REASON_POOL,         /* in the pool */
    VH_REASON_NODE,         /* in the pool, beside the memory */
    VH_REASON_OFF_ANCHORS,  /* in the pool, off the guest's anchored cores */
    VH_REASON_CROWDED,      /* in the pool; anchors have every core, so it shares one with them */
    VH_REASON_SET,          /* on the CPUs that the policy names */
    VH_REASON_FULL,    /* wished to be anchored and floats: every usable CPU of the pool is taken */
    VH_REASON_NO_CPU,  /* left alone: its pool or set has no usable CPU */
    VH_REASON_OVERLAP, /* left alone: the dedicated pool overlaps that of an earlier guest */
    VH_REASON_GROUPS,  /* groups beyond VH_PLACEMENT_GROUPS_MAX, not placed */
    VH_REASON_COUNT
};

/* "anchor", "full" and so on: for journals and programs. */
const char *vh_reason_name(enum vh_reason reason);

/* How much of the host a place means. */
enum vh_level { VH_LEVEL_NONE, VH_LEVEL_CPU, VH_LEVEL_L3, VH_LEVEL_NODE, VH_LEVEL_POOL };

/* One thread's place. */
struct vh_placed {
    uint8_t level;  /* enum vh_level; NONE: leave it alone, that is, what it had before vhint */
    uint8_t reason; /* enum vh_reason */
    uint16_t reserved;
    int32_t cpu; /* CPU: that one; L3, NODE: a CPU of it; else -1 */
    int32_t set; /* the CPUs, in the plan's `sets`; -1: leave it alone */
};

#define VH_PLACEMENT_GROUPS_MAX \
    64u /* per guest; a guest decides how many there are, so there is an end */

/* The place of a thread that is held to `cpus` now, for a caller that has no former plan. */
struct vh_placed vh_placed_now(const struct vh_topology *topology, const struct vh_cpuset *cpus);

/* All pointers are borrowed for the call. */
struct vh_placement_guest {
    const char *name; /* for texts */
    const struct vh_placement_options *options;
    const struct vh_cpuset
        *memory_nodes; /* numbers of the NUMA nodes that its memory is on; NULL: not known */
    unsigned vcpus, iothreads, vhosts;
    const struct vh_mask *anchors; /* vCPUs to anchor; NULL: none */
    const struct vh_mask *groups;  /* a vCPU in several is placed with the first */
    unsigned group_count;
    /* Where its vCPUs are now: the former plan's places of vCPUs 0 to current_count - 1 (`set` is
     * not read, so that a caller can make them up after a restart). */
    const struct vh_placed *current;
    unsigned current_count;
};

/* A vCPU that a former daemon has anchored and that nobody plans for, until its guest has said what
 * holds. */
struct vh_placement_left {
    int cpu;
    int guest; /* number in `guests`; -1: none of them */
};

struct vh_placement_input {
    const struct vh_topology *topology;
    const struct vh_cpuset *reserved; /* CPUs for the host alone; NULL: none */
    const uint16_t *load; /* permille per CPU, topology->cpu_count of them; NULL: not known */
    const struct vh_placement_guest *guests; /* oldest first */
    unsigned guest_count;
    const struct vh_placement_left *left; /* in any order */
    unsigned left_count;
};

/* ---- the plan ---- */

/* A wish that could not be met. */
struct vh_problem {
    enum vh_reason reason; /* FULL, CROWDED, GROUP_SPREAD, NO_CPU, OVERLAP, GROUPS */
    unsigned guest;
    int thread; /* as in vh_plan_thread; -1: the whole guest */
    int other;  /* OVERLAP: the guest that has the CPUs; else -1 */
    int set;    /* OVERLAP: the CPUs in question; else -1 */
};

struct vh_plan {
    unsigned guest_count, thread_count, set_count, problem_count;
    unsigned moved;  /* anchors that are wished and were placed, and now are elsewhere or float */
    unsigned *first; /* each guest's first thread; guest_count + 1 of them */
    struct vh_placed
        *threads; /* of each guest: its vCPUs, its emulator, its IOThreads, its vhost workers */
    struct vh_cpuset *sets;
    struct vh_problem *problems;
};

/* Never NULL. */
struct vh_plan *vh_placement_plan(const struct vh_placement_input *input);
void vh_plan_free(struct vh_plan *plan);
typedef struct vh_plan VhPlan;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhPlan, vh_plan_free)

/* Thread number of the emulator, of IOThread or vhost worker `i`; a vCPU's is its index. */
static inline unsigned vh_placement_emulator(const struct vh_placement_guest *guest)
{
    return guest->vcpus;
}
static inline unsigned vh_placement_iothread(const struct vh_placement_guest *guest, unsigned i)
{
    return guest->vcpus + 1 + i;
}
static inline unsigned vh_placement_vhost(const struct vh_placement_guest *guest, unsigned i)
{
    return guest->vcpus + 1 + guest->iothreads + i;
}

static inline const struct vh_placed *vh_plan_thread(const struct vh_plan *plan, unsigned guest,
                                                     unsigned thread)
{
    return &plan->threads[plan->first[guest] + thread];
}

/* NULL: leave it alone. */
static inline const struct vh_cpuset *vh_plan_set(const struct vh_plan *plan,
                                                  const struct vh_placed *placed)
{
    return placed->set < 0 ? NULL : &plan->sets[placed->set];
}

/* One thread's place and why, without the plan: what people are told. */
struct vh_place {
    enum vh_reason reason;
    int cpu;          /* it has this one; -1: not a single one */
    unsigned node;    /* of it, as the host numbers them */
    GRefString *cpus; /* it has these, in the list format of cpuset(7); NULL: it does not */
};

/* vh_place_clear() it. */
void vh_place_take(struct vh_place *place, const struct vh_placement_input *input,
                   const struct vh_plan *plan, unsigned guest, unsigned thread);
void vh_place_clear(struct vh_place *place);
typedef struct vh_place VhPlace;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VhPlace, vh_place_clear)

/* "CPU 5 of NUMA node 0: no other anchor on its core". g_free() it. */
char *vh_place_text(const struct vh_place *place);

/* The same of a thread of the plan. g_free() it. */
char *vh_placed_text(const struct vh_placement_input *input, const struct vh_plan *plan,
                     unsigned guest, unsigned thread);

/* A problem for people: guest, thread, limit and remedy. g_free() it. */
char *vh_problem_text(const struct vh_placement_input *input, const struct vh_plan *plan,
                      const struct vh_problem *problem);
