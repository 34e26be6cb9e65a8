// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the best CPU for an anchor, and keeps count of who is where.
#include "placement/state.h"

/* A CPU's score is one number, the lower the better: these fields from the most to the least
 * important one. */
enum {
    BITS_ANCHORS = 16, /* anchors on the CPU */
    BITS_CORE = 8,     /* anchors on the core, as the guest's policy for siblings sees them */
    BITS_BUSY = 1,     /* half of the core's time or more is used already */
    BITS_GROUP = 2, /* the group's home: the same L3 or node, the same node at least, elsewhere */
    BITS_L3 = 2, /* the L3's room: an anchor on less than half of its cores, on most, on as many as
                    it has */
    BITS_MEMORY = 1, /* the guest's memory is elsewhere */
    BITS_OWN = 1,    /* no other anchor of the guest is under the L3 */
    BITS_CROWD = 10, /* anchors and groups' members under the L3, per core, in 64ths */
    BITS_LOAD = 10,  /* the core's load, permille */
    BITS_CPU = 12,   /* its number: the last resort, which makes every choice definite */
};
G_STATIC_ASSERT(BITS_CPU + BITS_LOAD + BITS_CROWD + BITS_OWN + BITS_MEMORY + BITS_L3 + BITS_GROUP +
                    BITS_BUSY + BITS_CORE + BITS_ANCHORS <=
                64);
G_STATIC_ASSERT(1 << BITS_CPU >= VH_HOST_CPUS_MAX);

static uint64_t append(uint64_t score, unsigned bits, uint64_t value)
{
    return score << bits | MIN(value, ((uint64_t)1 << bits) - 1);
}

bool vh_place_can_stay(const struct vh_place_state *state, unsigned guest, int cpu)
{
    if (!vh_cpuset_has(&state->guests[guest].usable, (unsigned)cpu))
        return false;
    if (!state->cpus[cpu].anchors)
        return true;
    return state->in->guests[guest].options->overcommit && !state->cpus[cpu].strict;
}

/* `guest` -1: one that is not known, which shares nothing. */
static void count_anchor(struct vh_place_state *state, int guest, unsigned cpu)
{
    const struct vh_placement_options *options =
        guest < 0 ? NULL : state->in->guests[guest].options;
    struct vh_place_core *core = &state->cores[state->topology->cpus[cpu].core];
    int owner = guest < 0 ? VH_OWNER_MIXED : guest;

    state->cpus[cpu].anchors++;
    vh_cpuset_del(&state->free, cpu);
    if (!options || !options->overcommit) {
        state->cpus[cpu].strict++;
        vh_cpuset_add(&state->strict, cpu);
    }
    core->owner = core->anchors == 0 || core->owner == owner ? owner : VH_OWNER_MIXED;
    core->anchors++;
    if (!options || options->smt != VH_SMT_IGNORE)
        core->guarded++;
    state->l3s[state->topology->cpus[cpu].l3].anchors++;
    state->nodes[state->topology->cpus[cpu].node].anchors++;
}

void vh_place_leave(struct vh_place_state *state, const struct vh_placement_left *left)
{
    if (left->cpu >= 0 && vh_cpuset_has(&state->topology->online, (unsigned)left->cpu))
        count_anchor(state, left->guest, (unsigned)left->cpu);
}

void vh_place_anchor(struct vh_place_state *state, unsigned guest, unsigned thread, unsigned cpu)
{
    struct vh_placed *placed = &state->plan->threads[state->plan->first[guest] + thread];

    count_anchor(state, (int)guest, cpu);
    placed->level = VH_LEVEL_CPU;
    placed->cpu = (int32_t)cpu;
}

/* A new anchor's company: the others of its group that are, or are to be, anchored. */
struct company {
    bool any;
    struct vh_cpuset cpus; /* of the cores that they have */
};

static struct company company_of(const struct vh_place_state *state, unsigned guest, unsigned vcpu)
{
    const struct vh_placement_guest *in = &state->in->guests[guest];
    const int16_t *group_of = &state->group_of[state->plan->first[guest]];
    struct company company = {0};

    for (unsigned v = 0; group_of[vcpu] >= 0 && v < MIN(in->vcpus, VH_CPUS_MAX); v++) {
        const struct vh_placed *placed = &state->plan->threads[state->plan->first[guest] + v];
        unsigned count = 0;

        if (v == vcpu || group_of[v] != group_of[vcpu] || !vh_place_anchor_wished(in, v))
            continue;
        company.any = true;
        if (placed->level != VH_LEVEL_CPU)
            continue;
        const uint16_t *siblings =
            vh_topology_siblings(state->topology, (unsigned)placed->cpu, &count);
        for (unsigned i = 0; i < count; i++)
            vh_cpuset_add(&company.cpus, siblings[i]);
    }
    return company;
}

/* How contended a core is for a new anchor of `guest`; `core` is that of `cpu`. */
static unsigned core_rank(const struct vh_place_core *core, unsigned guest, enum vh_smt smt,
                          unsigned cpu, const struct company *company)
{
    bool own = core->owner == (int)guest;

    if (smt == VH_SMT_IGNORE)
        return own ? 0 : core->guarded;
    if (smt == VH_SMT_PAIR) {
        if (core->anchors == 0)
            return 1;
        /* The place beside a stranger is for the stranger's company. */
        if (own && company->any && !vh_cpuset_has(&company->cpus, cpu))
            return 2;
        return own ? 0 : core->anchors + 2;
    }
    /* Where it must share, rather with its own guest. */
    return core->anchors == 0 ? 0 : core->anchors * 2 - own;
}

static unsigned group_rank(const struct vh_place_state *state, const struct vh_place_home *home,
                           const struct vh_host_cpu *at)
{
    if (!home)
        return 0;
    if (home->level == VH_LEVEL_NODE)
        return at->node == home->domain ? 0 : 2;
    if (home->level != VH_LEVEL_L3 || at->l3 == home->domain)
        return 0;
    int inside = vh_cpuset_next(&state->topology->l3s[home->domain].cpus, 0);
    return at->node == state->topology->cpus[inside].node ? 1 : 2;
}

/* The L3s, as a set of their numbers, that the guest has anchors under. */
static struct vh_cpuset own_l3s(const struct vh_place_state *state, unsigned guest)
{
    struct vh_cpuset l3s = {{0}};

    for (unsigned v = 0; v < state->in->guests[guest].vcpus; v++) {
        const struct vh_placed *placed = &state->plan->threads[state->plan->first[guest] + v];

        if (placed->level == VH_LEVEL_CPU)
            vh_cpuset_add(&l3s, state->topology->cpus[placed->cpu].l3);
    }
    return l3s;
}

static uint64_t score(const struct vh_place_state *state, unsigned guest, unsigned cpu,
                      const struct vh_place_home *home, const struct vh_cpuset *own,
                      const struct company *company)
{
    const struct vh_host_cpu *at = &state->topology->cpus[cpu];
    unsigned load = state->core_load ? state->core_load[at->core] : 0;
    unsigned anchors = state->l3s[at->l3].anchors;
    unsigned cores = state->topology->l3s[at->l3].cores;
    uint64_t result = 0;

    result = append(result, BITS_ANCHORS, state->cpus[cpu].anchors);
    result = append(result, BITS_CORE,
                    core_rank(&state->cores[at->core], guest, state->in->guests[guest].options->smt,
                              cpu, company));
    result = append(result, BITS_BUSY, load >= 500);
    result = append(result, BITS_GROUP, group_rank(state, home, at));
    result = append(result, BITS_L3, anchors >= cores ? 2 : anchors * 2 >= cores);
    result = append(result, BITS_MEMORY, !vh_place_near_memory(state, guest, at->node));
    result = append(result, BITS_OWN, !vh_cpuset_has(own, at->l3));
    result = append(result, BITS_CROWD, (anchors + state->l3s[at->l3].members) * 64u / cores);
    result = append(result, BITS_LOAD, load);
    return append(result, BITS_CPU, cpu);
}

int vh_place_choose(const struct vh_place_state *state, unsigned guest, unsigned vcpu,
                    const struct vh_place_home *home)
{
    const struct company company = company_of(state, guest, vcpu);
    struct vh_cpuset candidates = state->guests[guest].usable;
    struct vh_cpuset own = own_l3s(state, guest);
    uint64_t best = UINT64_MAX;
    int chosen = -1;

    vh_cpuset_and(&candidates, &state->free);
    if (vh_cpuset_empty(&candidates)) {
        if (!state->in->guests[guest].options->overcommit)
            return -1;
        candidates = state->guests[guest].usable;
        vh_cpuset_sub(&candidates, &state->strict);
    }
    for (int cpu = vh_cpuset_next(&candidates, 0); cpu >= 0;
         cpu = vh_cpuset_next(&candidates, (unsigned)cpu + 1)) {
        uint64_t rank = score(state, guest, (unsigned)cpu, home, &own, &company);

        if (rank < best) {
            best = rank;
            chosen = cpu;
        }
    }
    return chosen;
}
