// SPDX-License-Identifier: GPL-2.0-or-later
// Finds homes for groups of vCPUs: one L3, else one NUMA node, else the pool.
#include "placement/state.h"

/* What a guest has under one L3 or node. */
struct tally {
    unsigned usable;
    unsigned free_cores; /* with a usable CPU and no anchor */
    unsigned inside;     /* of the group's members, placed there already */
};

struct group {
    unsigned guest, number;
    const struct vh_mask *set;
    unsigned members;
    unsigned floating; /* those that this group places: not anchored, in no earlier group */
    unsigned unplaced; /* anchors still to be placed */
};

static struct vh_place_home *home_of(const struct vh_place_state *state, unsigned guest, int number)
{
    return &state->homes[state->guests[guest].first_group + (unsigned)number];
}

static struct vh_placed *thread_of(const struct vh_place_state *state, unsigned guest,
                                   unsigned vcpu)
{
    return &state->plan->threads[state->plan->first[guest] + vcpu];
}

/* Counts a group's members; a vCPU without a group becomes this one's. */
static struct group examine(struct vh_place_state *state, unsigned guest, unsigned number)
{
    const struct vh_placement_guest *in = &state->in->guests[guest];
    struct group group = {.guest = guest, .number = number, .set = &in->groups[number]};

    for (unsigned v = 0; v < MIN(in->vcpus, VH_CPUS_MAX); v++) {
        if (!vh_mask_has(group.set, v))
            continue;
        int16_t *first = &state->group_of[state->plan->first[guest] + v];
        if (*first < 0)
            *first = (int16_t)number;
        group.members++;
        if (vh_place_anchor_wished(in, v))
            group.unplaced += thread_of(state, guest, v)->level == VH_LEVEL_NONE;
        else
            group.floating += *first == (int16_t)number;
    }
    return group;
}

static bool fits(const struct vh_place_state *state, const struct group *group,
                 const struct vh_place_home *home)
{
    struct vh_cpuset cpus = *vh_place_home_cpus(state, home);

    vh_cpuset_and(&cpus, &state->guests[group->guest].usable);
    return vh_cpuset_count(&cpus) >= group->members;
}

/* Where its first floating member is now; level NONE: nowhere. */
static struct vh_place_home current_home(const struct vh_place_state *state,
                                         const struct group *group)
{
    const struct vh_placement_guest *in = &state->in->guests[group->guest];
    struct vh_place_home home = {.level = VH_LEVEL_NONE};

    for (unsigned v = 0; v < MIN(in->vcpus, in->current_count); v++) {
        const struct vh_placed *now = &in->current[v];

        if (state->group_of[state->plan->first[group->guest] + v] != (int)group->number ||
            (now->level != VH_LEVEL_L3 && now->level != VH_LEVEL_NODE))
            continue;
        if (now->cpu < 0 || !vh_cpuset_has(&state->topology->online, (unsigned)now->cpu))
            continue;
        home.level = now->level;
        home.domain = home.level == VH_LEVEL_L3 ? state->topology->cpus[now->cpu].l3
                                                : state->topology->cpus[now->cpu].node;
        break;
    }
    return home;
}

static void settle(struct vh_place_state *state, const struct group *group,
                   struct vh_place_home home)
{
    *home_of(state, group->guest, (int)group->number) = home;
    if (home.level == VH_LEVEL_L3)
        state->l3s[home.domain].members += group->floating;
    else if (home.level == VH_LEVEL_NODE)
        state->nodes[home.domain].members += group->floating;
}

static bool is_first_usable_sibling(const struct vh_place_state *state,
                                    const struct vh_cpuset *usable, unsigned cpu)
{
    unsigned count = 0;
    const uint16_t *siblings = vh_topology_siblings(state->topology, cpu, &count);

    for (unsigned i = 0; i < count && siblings[i] < cpu; i++)
        if (vh_cpuset_has(usable, siblings[i]))
            return false;
    return true;
}

static void count_cpus(const struct vh_place_state *state, const struct group *group,
                       struct tally *l3s, struct tally *nodes)
{
    const struct vh_cpuset *usable = &state->guests[group->guest].usable;

    for (int cpu = vh_cpuset_next(usable, 0); cpu >= 0;
         cpu = vh_cpuset_next(usable, (unsigned)cpu + 1)) {
        const struct vh_host_cpu *at = &state->topology->cpus[cpu];

        l3s[at->l3].usable++;
        nodes[at->node].usable++;
        if (!state->cores[at->core].anchors &&
            is_first_usable_sibling(state, usable, (unsigned)cpu)) {
            l3s[at->l3].free_cores++;
            nodes[at->node].free_cores++;
        }
    }
}

/* Counts members that are anchored already, or at home with an earlier group. */
static void count_inside(const struct vh_place_state *state, const struct group *group,
                         struct tally *l3s, struct tally *nodes)
{
    const struct vh_placement_guest *in = &state->in->guests[group->guest];

    for (unsigned v = 0; v < MIN(in->vcpus, VH_CPUS_MAX); v++) {
        const struct vh_placed *placed = thread_of(state, group->guest, v);
        int first = state->group_of[state->plan->first[group->guest] + v];

        if (!vh_mask_has(group->set, v))
            continue;
        if (placed->level == VH_LEVEL_CPU) {
            l3s[state->topology->cpus[placed->cpu].l3].inside++;
            nodes[state->topology->cpus[placed->cpu].node].inside++;
            continue;
        }
        const struct vh_place_home *home = home_of(state, group->guest, first);
        if (home->level == VH_LEVEL_L3)
            l3s[home->domain].inside++;
        else if (home->level == VH_LEVEL_NODE)
            nodes[home->domain].inside++;
    }
}

/* The best of `count` domains that have a usable CPU for each member; -1: none has. */
static int best_domain(const struct vh_place_state *state, const struct group *group,
                       const struct tally *tallies, const struct vh_host_domain *domains,
                       const struct vh_place_use *uses, unsigned count)
{
    uint64_t best = UINT64_MAX;
    int chosen = -1;

    for (unsigned d = 0; d < count; d++) {
        int cpu = vh_cpuset_next(&domains[d].cpus, 0);
        uint64_t crowd = (uint64_t)(uses[d].anchors + uses[d].members) * 64u / domains[d].cores;

        if (tallies[d].usable < group->members)
            continue;
        /* Most important first: who is there already, room for anchors, memory, contention. */
        uint64_t rank = (uint64_t)(group->members - MIN(tallies[d].inside, group->members)) << 34;
        rank |= (uint64_t)(tallies[d].free_cores < group->unplaced) << 33;
        rank |=
            (uint64_t)!vh_place_near_memory(state, group->guest, state->topology->cpus[cpu].node)
            << 32;
        rank |= MIN(crowd, UINT32_MAX);
        if (rank < best) {
            best = rank;
            chosen = (int)d;
        }
    }
    return chosen;
}

static void find_home(struct vh_place_state *state, const struct group *group)
{
    const struct vh_topology *topology = state->topology;
    g_autofree struct tally *l3s = g_new0(struct tally, topology->l3_count);
    g_autofree struct tally *nodes = g_new0(struct tally, topology->node_count);
    struct vh_place_home home = {.level = VH_LEVEL_L3};

    count_cpus(state, group, l3s, nodes);
    count_inside(state, group, l3s, nodes);
    int domain = best_domain(state, group, l3s, topology->l3s, state->l3s, topology->l3_count);
    if (domain < 0) {
        home.level = VH_LEVEL_NODE;
        domain =
            best_domain(state, group, nodes, topology->nodes, state->nodes, topology->node_count);
    }
    if (domain < 0) {
        home.level = VH_LEVEL_POOL;
        domain = 0;
    }
    home.domain = (unsigned)domain;
    settle(state, group, home);
}

void vh_place_groups(struct vh_place_state *state)
{
    g_autoptr(GArray) homeless = g_array_new(FALSE, FALSE, sizeof(struct group));

    for (unsigned g = 0; g < state->in->guest_count; g++) {
        if (!state->guests[g].usable_count)
            continue;
        if (state->in->guests[g].group_count > state->guests[g].group_count)
            vh_place_problem(state, VH_REASON_GROUPS, g, -1);
        for (unsigned number = 0; number < state->guests[g].group_count; number++) {
            struct group group = examine(state, g, number);
            struct vh_place_home home = current_home(state, &group);

            if (!group.members)
                continue;
            if (home.level != VH_LEVEL_NONE && fits(state, &group, &home))
                settle(state, &group, home);
            else
                g_array_append_val(homeless, group);
        }
    }
    for (guint i = 0; i < homeless->len; i++)
        find_home(state, &g_array_index(homeless, struct group, i));
}
