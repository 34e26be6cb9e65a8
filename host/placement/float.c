// SPDX-License-Identifier: GPL-2.0-or-later
// Says where every thread without an anchor runs, and for each thread why.
#include "placement/state.h"

/* A place that several threads of a guest share. */
struct spot {
    enum vh_level level;
    enum vh_reason reason;
    int cpu;
    int set;
};

static const struct spot nowhere = {
    .level = VH_LEVEL_NONE, .reason = VH_REASON_NONE, .cpu = -1, .set = -1};

/* One guest while its threads are placed. */
struct spots {
    bool confined;          /* what floats has to keep to the pool */
    bool anchored;          /* it has an anchor that is placed */
    struct vh_cpuset taken; /* the cores of its anchors */
    struct spot floating;   /* vCPUs in no group */
    struct spot pool, off;  /* made once needed, see spot_pool and spot_off_pool */
    bool pool_made, off_made;
};

static void take(struct vh_placed *placed, const struct spot *spot)
{
    placed->level = (uint8_t)spot->level;
    placed->reason = (uint8_t)spot->reason;
    placed->cpu = spot->cpu;
    placed->set = spot->set;
}

static struct spot spot_in(struct vh_place_state *state, const struct vh_cpuset *set,
                           enum vh_reason reason)
{
    return (struct spot){
        .level = VH_LEVEL_POOL, .reason = reason, .cpu = -1, .set = vh_place_add_set(state, set)};
}

static void find_taken(const struct vh_place_state *state, unsigned g, struct spots *spots)
{
    for (unsigned v = 0; v < state->in->guests[g].vcpus; v++) {
        const struct vh_placed *placed = &state->plan->threads[state->plan->first[g] + v];
        unsigned count = 0;

        if (placed->level != VH_LEVEL_CPU)
            continue;
        const uint16_t *siblings =
            vh_topology_siblings(state->topology, (unsigned)placed->cpu, &count);
        for (unsigned i = 0; i < count; i++)
            vh_cpuset_add(&spots->taken, siblings[i]);
        spots->anchored = true;
    }
}

/* `set` off the guest's anchors, or all of it when they have every core. */
static struct spot spot_off(struct vh_place_state *state, unsigned g, const struct spots *spots,
                            const struct vh_cpuset *set)
{
    struct vh_cpuset off = *set;

    vh_cpuset_sub(&off, &spots->taken);
    if (!vh_cpuset_empty(&off))
        return spot_in(state, &off, VH_REASON_OFF_ANCHORS);
    vh_place_problem(state, VH_REASON_CROWDED, g, -1);
    return spot_in(state, set, VH_REASON_CROWDED);
}

/* The pool, if being in it means anything. */
static struct spot spot_pool(struct vh_place_state *state, unsigned g, struct spots *spots)
{
    if (!spots->pool_made) {
        spots->pool = nowhere;
        if (!state->guests[g].usable_count)
            spots->pool.reason = VH_REASON_NO_CPU;
        else if (!vh_cpuset_equal(&state->guests[g].usable, &state->topology->online))
            spots->pool = spot_in(state, &state->guests[g].usable, VH_REASON_POOL);
        spots->pool_made = true;
    }
    return spots->pool;
}

static struct spot spot_off_pool(struct vh_place_state *state, unsigned g, struct spots *spots)
{
    if (!spots->anchored)
        return spot_pool(state, g, spots);
    if (!spots->off_made)
        spots->off = spot_off(state, g, spots, &state->guests[g].usable);
    spots->off_made = true;
    return spots->off;
}

static struct vh_cpuset beside_memory(const struct vh_place_state *state, unsigned g)
{
    struct vh_cpuset near = {{0}};

    for (unsigned node = 0; node < state->topology->node_count; node++)
        if (vh_place_near_memory(state, g, node))
            vh_cpuset_or(&near, &state->topology->nodes[node].cpus);
    vh_cpuset_and(&near, &state->guests[g].usable);
    return near;
}

static struct spot spot_floating(struct vh_place_state *state, unsigned g, struct spots *spots)
{
    const struct vh_placement_options *options = state->in->guests[g].options;

    if (options->floating == VH_FLOAT_NODE) {
        struct vh_cpuset near = beside_memory(state, g);

        if (!vh_cpuset_empty(&near) && !vh_cpuset_equal(&near, &state->guests[g].usable))
            return options->off_anchors && spots->anchored ? spot_off(state, g, spots, &near)
                                                           : spot_in(state, &near, VH_REASON_NODE);
    }
    if (options->off_anchors)
        return spots->anchored || spots->confined ? spot_off_pool(state, g, spots) : nowhere;
    return spots->confined ? spot_pool(state, g, spots) : nowhere;
}

static struct spot spot_group(struct vh_place_state *state, unsigned g, const struct spots *spots,
                              const struct vh_place_home *home)
{
    const struct vh_cpuset *domain = vh_place_home_cpus(state, home);
    struct vh_cpuset cpus = state->guests[g].usable;
    struct spot spot = spots->floating;

    if (domain)
        vh_cpuset_and(&cpus, domain);
    if (!domain || vh_cpuset_equal(&cpus, &state->guests[g].usable)) {
        spot.reason = domain ? VH_REASON_GROUP_WHOLE : VH_REASON_GROUP_SPREAD;
        return spot;
    }
    if (state->in->guests[g].options->off_anchors && spots->anchored) {
        struct vh_cpuset off = cpus;

        vh_cpuset_sub(&off, &spots->taken);
        if (!vh_cpuset_empty(&off))
            cpus = off;
    }
    spot.level = home->level;
    spot.reason = home->level == VH_LEVEL_L3 ? VH_REASON_GROUP_L3 : VH_REASON_GROUP_NODE;
    spot.cpu = vh_cpuset_next(domain, 0);
    spot.set = vh_place_add_set(state, &cpus);
    return spot;
}

/* The set with `cpu` alone. Made here and not when the anchor is placed, so that sets are numbered
 * in the threads' order, whoever was placed first. */
static int set_alone(struct vh_place_state *state, unsigned cpu)
{
    if (state->cpu_set[cpu] < 0) {
        struct vh_cpuset alone = {{0}};

        vh_cpuset_add(&alone, cpu);
        state->cpu_set[cpu] = vh_place_add_set(state, &alone);
    }
    return state->cpu_set[cpu];
}

static enum vh_reason anchor_reason(const struct vh_place_state *state, unsigned cpu)
{
    if (state->cpus[cpu].anchors > 1)
        return VH_REASON_ANCHOR_CPU;
    return state->cores[state->topology->cpus[cpu].core].anchors > 1 ? VH_REASON_ANCHOR_CORE
                                                                     : VH_REASON_ANCHOR;
}

static void place_vcpus(struct vh_place_state *state, unsigned g, const struct spots *spots)
{
    const struct vh_placement_guest *in = &state->in->guests[g];
    struct spot groups[VH_PLACEMENT_GROUPS_MAX];
    uint64_t made = 0;

    G_STATIC_ASSERT(VH_PLACEMENT_GROUPS_MAX <= 64);
    for (unsigned v = 0; v < in->vcpus; v++) {
        unsigned thread = state->plan->first[g] + v;
        struct vh_placed *placed = &state->plan->threads[thread];
        int group = state->group_of[thread];

        if (placed->level == VH_LEVEL_CPU) {
            placed->set = set_alone(state, (unsigned)placed->cpu);
            placed->reason = (uint8_t)anchor_reason(state, (unsigned)placed->cpu);
            continue;
        }
        if (group < 0)
            take(placed, &spots->floating);
        else {
            if (!(made >> group & 1)) {
                groups[group] = spot_group(
                    state, g, spots, &state->homes[state->guests[g].first_group + (unsigned)group]);
                if (groups[group].reason == VH_REASON_GROUP_SPREAD)
                    vh_place_problem(state, VH_REASON_GROUP_SPREAD, g, (int)v);
            }
            made |= (uint64_t)1 << group;
            take(placed, &groups[group]);
        }
        if (vh_place_anchor_wished(in, v) && state->guests[g].usable_count) {
            placed->reason = VH_REASON_FULL;
            vh_place_problem(state, VH_REASON_FULL, g, (int)v);
        }
    }
}

/* The CPUs that the policy names, as far as rule 1 lets them be used. */
static struct spot spot_named(struct vh_place_state *state, unsigned g,
                              const struct vh_cpuset *named, unsigned thread)
{
    struct vh_cpuset cpus = state->dedicated;

    if (state->in->guests[g].options->dedicated)
        vh_cpuset_sub(&cpus, &state->guests[g].usable);
    if (state->in->reserved)
        vh_cpuset_or(&cpus, state->in->reserved);
    struct vh_cpuset usable = *named;
    vh_cpuset_and(&usable, &state->topology->online);
    vh_cpuset_sub(&usable, &cpus);
    if (!vh_cpuset_empty(&usable))
        return spot_in(state, &usable, VH_REASON_SET);
    vh_place_problem(state, VH_REASON_NO_CPU, g, (int)thread);
    struct spot spot = nowhere;
    spot.reason = VH_REASON_NO_CPU;
    return spot;
}

static struct spot spot_helper(struct vh_place_state *state, unsigned g, struct spots *spots,
                               const struct vh_helper *helper, unsigned thread)
{
    switch (helper->where) {
    case VH_WHERE_POOL:
        return spot_pool(state, g, spots);
    case VH_WHERE_SET:
        return spot_named(state, g, &helper->cpus, thread);
    case VH_WHERE_OFF_ANCHORS:
        return spot_off_pool(state, g, spots);
    case VH_WHERE_FREE:
    case VH_WHERE_COUNT:
        break;
    }
    return vh_cpuset_empty(&state->dedicated) ? nowhere : spot_pool(state, g, spots);
}

static void place_helpers(struct vh_place_state *state, unsigned g, struct spots *spots,
                          const struct vh_helper *helper, unsigned first, unsigned count)
{
    if (!count)
        return;
    struct spot spot = spot_helper(state, g, spots, helper, first);
    for (unsigned i = 0; i < count; i++)
        take(&state->plan->threads[state->plan->first[g] + first + i], &spot);
}

static void refuse(struct vh_place_state *state, unsigned g)
{
    struct spot spot = nowhere;

    spot.reason = VH_REASON_OVERLAP;
    for (unsigned t = state->plan->first[g]; t < state->plan->first[g + 1]; t++)
        take(&state->plan->threads[t], &spot);
}

static bool wishes_something(const struct vh_placement_guest *in)
{
    return (in->anchors && !vh_mask_empty(in->anchors)) || in->group_count > 0;
}

static void place_guest(struct vh_place_state *state, unsigned g)
{
    const struct vh_placement_guest *in = &state->in->guests[g];
    const struct vh_placement_options *options = in->options;
    struct spots spots = {.floating = nowhere};

    spots.confined = options->floating != VH_FLOAT_FREE || !vh_cpuset_empty(&state->dedicated);
    find_taken(state, g, &spots);
    if (state->guests[g].usable_count)
        spots.floating = spot_floating(state, g, &spots);
    else if (spots.confined || wishes_something(in)) {
        spots.floating.reason = VH_REASON_NO_CPU;
        vh_place_problem(state, VH_REASON_NO_CPU, g, -1);
    }
    place_vcpus(state, g, &spots);
    place_helpers(state, g, &spots, &options->emulator, vh_placement_emulator(in), 1);
    place_helpers(state, g, &spots, &options->iothreads, vh_placement_iothread(in, 0),
                  in->iothreads);
    place_helpers(state, g, &spots, &options->vhosts, vh_placement_vhost(in, 0), in->vhosts);
}

void vh_place_rest(struct vh_place_state *state)
{
    for (unsigned g = 0; g < state->in->guest_count; g++) {
        if (state->guests[g].refused)
            refuse(state, g);
        else
            place_guest(state, g);
    }
}
