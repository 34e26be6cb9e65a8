// SPDX-License-Identifier: GPL-2.0-or-later
// Holds a plan against the rules of placement.h. A plan that breaks one would move other guests'
// threads or take their CPUs, so the daemon rather ends, and its successor begins from scratch.
#include "base/assert.h"
#include "placement/state.h"

/* The anchors of one CPU. */
struct tally {
    unsigned planned; /* of guests that are planned for */
    unsigned strict;  /* of these, without overcommit */
    bool fresh;       /* one is new */
    unsigned least;   /* fewest() of that one's guest; of several, the most */
    bool left;        /* a former daemon's, see vh_placement_left */
    bool left_strict; /* and it shares with nobody */
};

static const struct vh_placed *placed_of(const struct vh_place_state *state, unsigned g, unsigned t)
{
    return &state->plan->threads[state->plan->first[g] + t];
}

/* ---- rules 1 to 4 and 7: anchors ---- */

/* Does rule 4 bar the guest's anchors from this CPU, because of others there? */
static bool is_barred(const struct vh_place_state *state, unsigned g, unsigned cpu)
{
    return state->cpus[cpu].anchors &&
           (!state->in->guests[g].options->overcommit || state->cpus[cpu].strict);
}

/* How many anchors are on the CPU with the fewest, of those that rule 4 lets the guest's use. */
static unsigned fewest(const struct vh_place_state *state, unsigned g)
{
    const struct vh_cpuset *usable = &state->guests[g].usable;
    unsigned count = UINT_MAX;

    for (int cpu = vh_cpuset_next(usable, 0); cpu >= 0;
         cpu = vh_cpuset_next(usable, (unsigned)cpu + 1))
        if (!vh_cpuset_has(&state->strict, (unsigned)cpu))
            count = MIN(count, state->cpus[cpu].anchors);
    return count;
}

static void check_anchored(const struct vh_place_state *state, unsigned g, unsigned v,
                           unsigned least, struct tally *tallies)
{
    const struct vh_placement_guest *guest = &state->in->guests[g];
    unsigned cpu = (unsigned)placed_of(state, g, v)->cpu;
    bool stayed = vh_place_current_cpu(guest, v) == (int)cpu;
    struct tally *tally = &tallies[cpu];

    g_assert(vh_place_anchor_wished(guest, v));
    g_assert(vh_cpuset_has(&state->guests[g].usable, cpu)); /* rule 1 */
    if (!stayed)
        g_assert(!tally->left || (guest->options->overcommit && !tally->left_strict)); /* rule 7 */
    tally->planned++;
    tally->strict += !guest->options->overcommit;
    tally->fresh |= !stayed;
    if (!stayed)
        tally->least = MAX(tally->least, least);
}

/* Is every CPU that it may use taken, as rule 4 has it? */
static bool has_no_cpu(const struct vh_place_state *state, unsigned g)
{
    const struct vh_cpuset *usable = &state->guests[g].usable;
    struct vh_cpuset free = *usable;

    vh_cpuset_and(&free, &state->free);
    return vh_cpuset_empty(&free) &&
           (!state->in->guests[g].options->overcommit || vh_cpuset_within(usable, &state->strict));
}

/* Returns how many of the guest's anchors are elsewhere now, or float. */
static unsigned check_guest_anchors(const struct vh_place_state *state, unsigned g,
                                    struct tally *tallies)
{
    const struct vh_placement_guest *guest = &state->in->guests[g];
    unsigned least = VH_ASSERTS_DEEP ? fewest(state, g) : UINT_MAX;
    unsigned moved = 0;

    for (unsigned v = 0; v < guest->vcpus; v++) {
        const struct vh_placed *placed = placed_of(state, g, v);
        int before = vh_place_current_cpu(guest, v);

        if (placed->level == VH_LEVEL_CPU)
            check_anchored(state, g, v, least, tallies);
        else if (vh_place_anchor_wished(guest, v))
            VH_ASSERT_DEEP(has_no_cpu(state, g)); /* rule 4 */
        if (!vh_place_anchor_wished(guest, v) || before < 0 ||
            (placed->level == VH_LEVEL_CPU && placed->cpu == before))
            continue;
        moved++;
        g_assert(!vh_cpuset_has(&state->guests[g].usable, (unsigned)before) ||
                 is_barred(state, g, (unsigned)before)); /* rule 2 */
    }
    return moved;
}

static void check_anchors(const struct vh_place_state *state)
{
    g_autofree struct tally *tallies = g_new0(struct tally, state->topology->cpu_count + 1);
    unsigned moved = 0;

    for (unsigned i = 0; i < state->in->left_count; i++) {
        const struct vh_placement_left *left = &state->in->left[i];

        if (left->cpu < 0 || !vh_cpuset_has(&state->topology->online, (unsigned)left->cpu))
            continue;
        tallies[left->cpu].left = true;
        tallies[left->cpu].left_strict |=
            left->guest < 0 || !state->in->guests[left->guest].options->overcommit;
    }
    for (unsigned g = 0; g < state->in->guest_count; g++)
        moved += check_guest_anchors(state, g, tallies);
    g_assert(moved == state->plan->moved);
    for (unsigned cpu = 0; cpu < state->topology->cpu_count; cpu++) {
        const struct tally *tally = &tallies[cpu];

        g_assert(!tally->strict || tally->planned == 1); /* rule 4 */
        /* Rule 3: the last one to come here found no CPU with fewer. */
        VH_ASSERT_DEEP(!tally->fresh || tally->least >= state->cpus[cpu].anchors - 1);
    }
}

/* ---- rules 1 and 5: where threads may run ---- */

/* What rule 1 leaves of the host for the guest. */
static struct vh_cpuset allowed_cpus(const struct vh_place_state *state, unsigned g)
{
    const struct vh_placement_options *options = state->in->guests[g].options;
    struct vh_cpuset cpus = state->topology->online;
    struct vh_cpuset others = state->dedicated;

    if (options->dedicated)
        vh_cpuset_sub(&others, vh_cpuset_empty(&options->pool) ? &cpus : &options->pool);
    if (state->in->reserved)
        vh_cpuset_sub(&cpus, state->in->reserved);
    vh_cpuset_sub(&cpus, &others);
    return cpus;
}

static bool is_usable_right(const struct vh_place_state *state, unsigned g)
{
    const struct vh_cpuset *pool = &state->in->guests[g].options->pool;
    struct vh_cpuset cpus = allowed_cpus(state, g);

    if (!vh_cpuset_empty(pool))
        vh_cpuset_and(&cpus, pool);
    return vh_cpuset_equal(&cpus, &state->guests[g].usable);
}

static bool is_set_right(const struct vh_place_state *state, unsigned g, unsigned t)
{
    const struct vh_placed *placed = placed_of(state, g, t);
    struct vh_cpuset cpus = state->guests[g].usable;
    const struct vh_cpuset *set = NULL;

    if (placed->set < 0)
        return placed->level == VH_LEVEL_NONE;
    if (placed->reason == VH_REASON_SET)
        cpus = allowed_cpus(state, g);
    set = &g_array_index(state->sets, struct vh_cpuset, placed->set);
    return !vh_cpuset_empty(set) && vh_cpuset_within(set, &cpus);
}

/* Is the thread, if it floats, where its group has its home? Nobody else is kept under an L3 or on
 * a node. */
static bool is_at_home(const struct vh_place_state *state, unsigned g, unsigned t)
{
    const struct vh_placed *placed = placed_of(state, g, t);
    int group = state->group_of[state->plan->first[g] + t];
    const struct vh_place_home *home =
        group < 0 ? NULL : &state->homes[state->guests[g].first_group + (unsigned)group];
    const struct vh_cpuset *domain = home ? vh_place_home_cpus(state, home) : NULL;

    if (placed->level == VH_LEVEL_CPU)
        return true;
    if (placed->level != VH_LEVEL_L3 && placed->level != VH_LEVEL_NODE)
        return !domain || vh_cpuset_within(&state->guests[g].usable, domain);
    return domain && home->level == placed->level &&
           vh_cpuset_within(&g_array_index(state->sets, struct vh_cpuset, placed->set), domain);
}

static bool has_room(const struct vh_cpuset *usable, const struct vh_cpuset *domain,
                     unsigned members)
{
    struct vh_cpuset cpus = *usable;

    vh_cpuset_and(&cpus, domain);
    return vh_cpuset_count(&cpus) >= members;
}

/* Is the group in the smallest domain that has room, or stays where it was and has room? */
static bool is_home_right(const struct vh_place_state *state, unsigned g, unsigned number)
{
    const struct vh_placement_guest *guest = &state->in->guests[g];
    const struct vh_topology *topology = state->topology;
    const struct vh_cpuset *usable = &state->guests[g].usable;
    const struct vh_place_home *home = &state->homes[state->guests[g].first_group + number];
    unsigned members = 0;

    for (unsigned v = 0; v < MIN(guest->vcpus, VH_CPUS_MAX); v++)
        members += vh_mask_has(&guest->groups[number], v);
    if (home->level == VH_LEVEL_NONE)
        return !members || !state->guests[g].usable_count;
    if (home->level != VH_LEVEL_POOL)
        return has_room(usable, vh_place_home_cpus(state, home), members);
    for (unsigned i = 0; i < topology->l3_count; i++)
        if (has_room(usable, &topology->l3s[i].cpus, members))
            return false;
    for (unsigned i = 0; i < topology->node_count; i++)
        if (has_room(usable, &topology->nodes[i].cpus, members))
            return false;
    return true;
}

/* ---- rule 6 ---- */

static void check_refused(const struct vh_place_state *state, unsigned g)
{
    unsigned count = state->plan->first[g + 1] - state->plan->first[g];

    g_assert(state->in->guests[g].options->dedicated);
    for (unsigned t = 0; t < count; t++)
        g_assert(placed_of(state, g, t)->set < 0);
}

/* Has each CPU one owner at most, the earliest that asks for it? */
static bool are_pools_right(const struct vh_place_state *state)
{
    struct vh_cpuset claimed = {{0}};

    for (unsigned g = 0; g < state->in->guest_count; g++) {
        const struct vh_placement_options *options = state->in->guests[g].options;
        struct vh_cpuset pool =
            vh_cpuset_empty(&options->pool) ? state->topology->online : options->pool;
        struct vh_cpuset common = pool;

        if (!options->dedicated)
            continue;
        vh_cpuset_and(&common, &claimed);
        if (state->guests[g].refused == vh_cpuset_empty(&common))
            return false;
        if (!state->guests[g].refused)
            vh_cpuset_or(&claimed, &pool);
    }
    return vh_cpuset_equal(&claimed, &state->dedicated);
}

void vh_place_check(const struct vh_place_state *state)
{
    check_anchors(state);
    VH_ASSERT_DEEP(are_pools_right(state)); /* rule 6 */
    for (unsigned g = 0; g < state->in->guest_count; g++) {
        unsigned count = state->plan->first[g + 1] - state->plan->first[g];

        if (state->guests[g].refused)
            check_refused(state, g);
        else
            VH_ASSERT_DEEP(is_usable_right(state, g)); /* rule 1 */
        for (unsigned t = 0; VH_ASSERTS_DEEP && t < count; t++) {
            VH_ASSERT_DEEP(is_set_right(state, g, t)); /* rule 1 */
            VH_ASSERT_DEEP(is_at_home(state, g, t));   /* rule 5 */
        }
        for (unsigned i = 0; VH_ASSERTS_DEEP && i < state->guests[g].group_count; i++)
            VH_ASSERT_DEEP(is_home_right(state, g, i)); /* rule 5 */
    }
}
