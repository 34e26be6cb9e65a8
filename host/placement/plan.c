// SPDX-License-Identifier: GPL-2.0-or-later
// Makes a plan: what each guest may use, who stays, homes of groups, new anchors, then all that
// floats.
#include "placement/state.h"

/* The pool with "every CPU" spelled out. */
static struct vh_cpuset pool_of(const struct vh_place_state *state, unsigned guest)
{
    const struct vh_placement_options *options = state->in->guests[guest].options;

    return vh_cpuset_empty(&options->pool) ? state->topology->online : options->pool;
}

/* Notes one problem for each earlier guest whose dedicated pool `pool` overlaps; false: there is
 * none. */
static bool overlaps(struct vh_place_state *state, unsigned guest, const struct vh_cpuset *pool,
                     const int *owner)
{
    struct vh_cpuset left = *pool;

    vh_cpuset_and(&left, &state->dedicated);
    if (vh_cpuset_empty(&left))
        return false;
    for (int cpu = vh_cpuset_next(&left, 0); cpu >= 0; cpu = vh_cpuset_next(&left, (unsigned)cpu)) {
        struct vh_problem problem = {.reason = VH_REASON_OVERLAP,
                                     .guest = guest,
                                     .thread = -1,
                                     .other = owner[cpu],
                                     .set = -1};
        struct vh_cpuset shared = pool_of(state, (unsigned)owner[cpu]);

        vh_cpuset_and(&shared, &left);
        vh_cpuset_sub(&left, &shared);
        problem.set = vh_place_add_set(state, &shared);
        g_array_append_val(state->problems, problem);
    }
    return true;
}

/* Rule 6: who has which dedicated pool. */
static void claim_dedicated(struct vh_place_state *state)
{
    g_autofree int *owner = NULL;

    for (unsigned g = 0; g < state->in->guest_count; g++) {
        if (!state->in->guests[g].options->dedicated)
            continue;
        struct vh_cpuset pool = pool_of(state, g);
        if (!owner)
            owner = g_new(int, VH_HOST_CPUS_MAX);
        state->guests[g].refused = overlaps(state, g, &pool, owner);
        if (state->guests[g].refused)
            continue;
        vh_cpuset_or(&state->dedicated, &pool);
        for (int cpu = vh_cpuset_next(&pool, 0); cpu >= 0;
             cpu = vh_cpuset_next(&pool, (unsigned)cpu + 1))
            owner[cpu] = (int)g;
    }
}

/* Rule 1. */
static void find_usable(struct vh_place_state *state)
{
    struct vh_cpuset host = state->topology->online;
    struct vh_cpuset shared;

    if (state->in->reserved)
        vh_cpuset_sub(&host, state->in->reserved);
    shared = host;
    vh_cpuset_sub(&shared, &state->dedicated);
    for (unsigned g = 0; g < state->in->guest_count; g++) {
        struct vh_place_guest *guest = &state->guests[g];
        const struct vh_placement_options *options = state->in->guests[g].options;

        if (guest->refused)
            continue;
        guest->usable = options->dedicated ? host : shared;
        if (!vh_cpuset_empty(&options->pool))
            vh_cpuset_and(&guest->usable, &options->pool);
        guest->usable_count = vh_cpuset_count(&guest->usable);
    }
}

/* Numbers threads and groups. */
static void lay_out(struct vh_place_state *state)
{
    struct vh_plan *plan = state->plan;
    unsigned groups = 0;

    plan->guest_count = state->in->guest_count;
    plan->first = g_new(unsigned, plan->guest_count + 1);
    plan->first[0] = 0;
    for (unsigned g = 0; g < plan->guest_count; g++) {
        const struct vh_placement_guest *guest = &state->in->guests[g];

        plan->first[g + 1] = plan->first[g] + guest->vcpus + 1 + guest->iothreads + guest->vhosts;
        state->guests[g].first_group = groups;
        state->guests[g].group_count = MIN(guest->group_count, VH_PLACEMENT_GROUPS_MAX);
        groups += state->guests[g].group_count;
    }
    plan->thread_count = plan->first[plan->guest_count];
    plan->threads = g_new0(struct vh_placed, plan->thread_count + 1);
    state->group_of = g_new(int16_t, plan->thread_count + 1);
    for (unsigned t = 0; t < plan->thread_count; t++) {
        plan->threads[t].cpu = -1;
        plan->threads[t].set = -1;
        state->group_of[t] = -1;
    }
    state->homes = g_new0(struct vh_place_home, groups + 1);
}

static void measure_load(struct vh_place_state *state)
{
    const struct vh_topology *topology = state->topology;

    if (!state->in->load)
        return;
    state->core_load = g_new(uint16_t, topology->core_count + 1);
    for (unsigned c = 0; c < topology->core_count; c++) {
        const struct vh_host_core *core = &topology->cores[c];
        unsigned sum = 0;

        g_assert(core->count);
        for (unsigned i = 0; i < core->count; i++)
            sum += MIN(state->in->load[topology->siblings[core->first + i]], 1000);
        state->core_load[c] = (uint16_t)(sum / core->count);
    }
}

static void start(struct vh_place_state *state, const struct vh_placement_input *input)
{
    const struct vh_topology *topology = input->topology;

    state->in = input;
    state->topology = topology;
    state->plan = g_new0(struct vh_plan, 1);
    state->guests = g_new0(struct vh_place_guest, input->guest_count + 1);
    state->free = topology->online;
    state->cpus = g_new0(struct vh_place_cpu, topology->cpu_count + 1);
    state->cores = g_new0(struct vh_place_core, topology->core_count + 1);
    for (unsigned c = 0; c < topology->core_count; c++)
        state->cores[c].owner = VH_OWNER_NONE;
    state->l3s = g_new0(struct vh_place_use, topology->l3_count + 1);
    state->nodes = g_new0(struct vh_place_use, topology->node_count + 1);
    state->sets = g_array_sized_new(FALSE, FALSE, sizeof(struct vh_cpuset), input->guest_count * 4);
    state->problems = g_array_new(FALSE, FALSE, sizeof(struct vh_problem));
    state->cpu_set = g_new(int, topology->cpu_count + 1);
    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++)
        state->cpu_set[cpu] = -1;
    lay_out(state);
    measure_load(state);
}

static struct vh_plan *finish(struct vh_place_state *state)
{
    struct vh_plan *plan = state->plan;

    plan->set_count = state->sets->len;
    plan->sets = (struct vh_cpuset *)(gpointer)g_array_free(state->sets, FALSE);
    plan->problem_count = state->problems->len;
    plan->problems = (struct vh_problem *)(gpointer)g_array_free(state->problems, FALSE);
    g_free(state->guests);
    g_free(state->cpus);
    g_free(state->cores);
    g_free(state->core_load);
    g_free(state->l3s);
    g_free(state->nodes);
    g_free(state->homes);
    g_free(state->group_of);
    g_free(state->cpu_set);
    return plan;
}

/* Rule 2. */
static void keep_anchors(struct vh_place_state *state)
{
    for (unsigned g = 0; g < state->in->guest_count; g++) {
        const struct vh_placement_guest *guest = &state->in->guests[g];

        for (unsigned v = 0; guest->anchors && v < guest->vcpus; v++) {
            if (!vh_mask_has(guest->anchors, v))
                continue;
            int cpu = vh_place_current_cpu(guest, v);
            if (cpu >= 0 && vh_place_can_stay(state, g, cpu))
                vh_place_anchor(state, g, v, (unsigned)cpu);
            else {
                state->guests[g].unplaced++;
                if (cpu >= 0)
                    state->plan->moved++;
            }
        }
    }
}

struct turn {
    unsigned usable_count, guest;
};

static int compare_turns(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->usable_count != y->usable_count)
        return x->usable_count < y->usable_count ? -1 : 1;
    return (x->guest > y->guest) - (x->guest < y->guest);
}

static void place_guest(struct vh_place_state *state, unsigned g)
{
    const struct vh_placement_guest *guest = &state->in->guests[g];

    for (unsigned v = 0; v < guest->vcpus; v++) {
        unsigned thread = state->plan->first[g] + v;

        if (!vh_mask_has(guest->anchors, v) || state->plan->threads[thread].level != VH_LEVEL_NONE)
            continue;
        int group = state->group_of[thread];
        int cpu = vh_place_choose(
            state, g, v,
            group < 0 ? NULL : &state->homes[state->guests[g].first_group + (unsigned)group]);
        if (cpu < 0) /* nor for the others: all of them may use the same CPUs */
            return;
        vh_place_anchor(state, g, v, (unsigned)cpu);
    }
}

/* Guests with the least choice go first, so that the others leave them what they need. */
static void place_anchors(struct vh_place_state *state)
{
    g_autofree struct turn *turns = g_new(struct turn, state->in->guest_count + 1);
    unsigned count = 0;

    for (unsigned g = 0; g < state->in->guest_count; g++)
        if (state->guests[g].unplaced && state->guests[g].usable_count)
            turns[count++] =
                (struct turn){.usable_count = state->guests[g].usable_count, .guest = g};
    qsort(turns, count, sizeof(*turns), compare_turns);
    for (unsigned i = 0; i < count; i++)
        place_guest(state, turns[i].guest);
}

struct vh_plan *vh_placement_plan(const struct vh_placement_input *input)
{
    struct vh_place_state state = {0};

    start(&state, input);
    claim_dedicated(&state);
    find_usable(&state);
    keep_anchors(&state);
    for (unsigned i = 0; i < input->left_count; i++)
        vh_place_leave(&state, &input->left[i]);
    vh_place_groups(&state);
    place_anchors(&state);
    vh_place_rest(&state);
    vh_place_check(&state);
    return finish(&state);
}
