// SPDX-License-Identifier: GPL-2.0-or-later
// Plans the placement of all guests' vCPUs.
#include "placement.h"

#include <string.h>

/* The plan as far as it is made. */
struct planner {
    struct vh_place *places;
    unsigned count;
    const struct vh_topology *topology;
    struct vh_cpuset taken; /* by anchors */
};

static bool usable(const struct planner *planner, const struct vh_place *place, int cpu)
{
    return cpu >= 0 && vh_cpuset_has(place->pool, (unsigned)cpu) &&
           vh_cpuset_has(&planner->topology->online, (unsigned)cpu);
}

static void put_anchor(struct planner *planner, struct vh_place *place, int cpu)
{
    place->cpu = cpu;
    place->why = VH_PLACE_ANCHOR;
    vh_cpuset_add(&planner->taken, (unsigned)cpu);
}

/* How little `cpu` suits: 2 for an anchor on its core, 1 for being away from the guest's anchors. */
static unsigned cost(const struct planner *planner, const struct vh_place *place, unsigned cpu)
{
    const struct vh_topology *topology = planner->topology;
    bool shared_core = false;
    bool has_anchors = false;
    bool near = false;

    for (unsigned i = 0; i < planner->count; i++) {
        const struct vh_place *other = &planner->places[i];

        if (other->cpu < 0)
            continue;
        shared_core = shared_core || topology->core[other->cpu] == topology->core[cpu];
        if (other->guest != place->guest)
            continue;
        has_anchors = true;
        near = near || topology->domain[other->cpu] == topology->domain[cpu];
    }
    return (shared_core ? 2u : 0u) + (has_anchors && !near ? 1u : 0u);
}

static void choose_anchor(struct planner *planner, struct vh_place *place)
{
    int best = -1;
    unsigned best_cost = 0;
    bool any_online = false;

    for (int cpu = vh_cpuset_next(place->pool, 0); cpu >= 0;
         cpu = vh_cpuset_next(place->pool, (unsigned)cpu + 1)) {
        unsigned this_cost = 0;

        if (!usable(planner, place, cpu))
            continue;
        any_online = true;
        if (vh_cpuset_has(&planner->taken, (unsigned)cpu))
            continue;
        this_cost = cost(planner, place, (unsigned)cpu);
        if (best >= 0 && this_cost >= best_cost)
            continue;
        best = cpu;
        best_cost = this_cost;
        if (best_cost == 0)
            break;
    }
    if (best >= 0)
        put_anchor(planner, place, best);
    else
        place->why = any_online ? VH_PLACE_EXHAUSTED : VH_PLACE_OFFLINE;
}

static unsigned anchors_in(const struct planner *planner, const struct vh_place *member, int domain)
{
    unsigned count = 0;

    for (unsigned i = 0; i < planner->count; i++) {
        const struct vh_place *other = &planner->places[i];

        if (other->guest == member->guest && other->wish.group == member->wish.group && other->cpu >= 0)
            count += planner->topology->domain[other->cpu] == domain;
    }
    return count;
}

static unsigned cpus_in(const struct planner *planner, const struct vh_place *member, int domain)
{
    unsigned count = 0;

    for (int cpu = vh_cpuset_next(member->pool, 0); cpu >= 0;
         cpu = vh_cpuset_next(member->pool, (unsigned)cpu + 1))
        count += usable(planner, member, cpu) && planner->topology->domain[cpu] == domain;
    return count;
}

/* The best domain for the group of `member`; -1: none online, -2: there is only one. */
static int choose_domain(const struct planner *planner, const struct vh_place *member)
{
    struct {
        int domain;
        unsigned anchors;
        bool stays;
        unsigned cpus;
    } best = {.domain = -1};
    unsigned different = 0;
    int last = -1;

    for (int cpu = vh_cpuset_next(member->pool, 0); cpu >= 0;
         cpu = vh_cpuset_next(member->pool, (unsigned)cpu + 1)) {
        int domain = planner->topology->domain[cpu];
        unsigned anchors = 0, cpus = 0;
        bool stays = domain == member->domain_now;

        if (!usable(planner, member, cpu) || domain == last)
            continue;
        different += last != domain;
        last = domain;
        anchors = anchors_in(planner, member, domain);
        cpus = cpus_in(planner, member, domain);
        if (best.domain >= 0 && (anchors < best.anchors || (anchors == best.anchors && stays < best.stays) ||
                                 (anchors == best.anchors && stays == best.stays && cpus <= best.cpus)))
            continue;
        best.domain = domain;
        best.anchors = anchors;
        best.stays = stays;
        best.cpus = cpus;
    }
    return different == 1 ? -2 : best.domain;
}

/* All members of the group that `first` begins. */
static void place_group(struct planner *planner, unsigned first)
{
    const struct vh_place *member = &planner->places[first];
    int domain = choose_domain(planner, member);

    for (unsigned i = first; i < planner->count; i++) {
        struct vh_place *place = &planner->places[i];

        if (place->guest != member->guest || place->wish.kind != VH_WISH_GROUP ||
            place->wish.group != member->wish.group)
            continue;
        place->domain = domain >= 0 ? domain : -1;
        place->why = domain >= 0 ? VH_PLACE_GROUP : domain == -2 ? VH_PLACE_ONE_DOMAIN : VH_PLACE_OFFLINE;
    }
}

void vh_placement_plan(struct vh_place *places, unsigned count, const struct vh_topology *topology)
{
    struct planner planner = {.places = places, .count = count, .topology = topology};

    for (unsigned i = 0; i < count; i++) {
        places[i].cpu = -1;
        places[i].domain = -1;
        places[i].why = VH_PLACE_NOT_ASKED;
    }
    for (unsigned i = 0; i < count; i++) {
        int now = places[i].cpu_now;

        if (places[i].wish.kind == VH_WISH_ANCHOR && usable(&planner, &places[i], now) &&
            !vh_cpuset_has(&planner.taken, (unsigned)now))
            put_anchor(&planner, &places[i], now);
    }
    for (unsigned i = 0; i < count; i++)
        if (places[i].wish.kind == VH_WISH_ANCHOR && places[i].cpu < 0)
            choose_anchor(&planner, &places[i]);
    for (unsigned i = 0; i < count; i++)
        if (places[i].wish.kind == VH_WISH_GROUP && places[i].why == VH_PLACE_NOT_ASKED)
            place_group(&planner, i);
}

bool vh_place_cpus(const struct vh_place *place, const struct vh_topology *topology, struct vh_cpuset *cpus)
{
    memset(cpus, 0, sizeof(*cpus));
    if (place->cpu >= 0) {
        vh_cpuset_add(cpus, (unsigned)place->cpu);
        return true;
    }
    if (place->domain < 0)
        return false;
    for (int cpu = vh_cpuset_next(place->pool, 0); cpu >= 0; cpu = vh_cpuset_next(place->pool, (unsigned)cpu + 1))
        if (topology->domain[cpu] == place->domain && vh_cpuset_has(&topology->online, (unsigned)cpu))
            vh_cpuset_add(cpus, (unsigned)cpu);
    return true;
}

char *vh_place_reason(const struct vh_place *place)
{
    g_autofree char *pool = vh_cpuset_format(place->pool);
    const char *s = place->wish.tasks == 1 ? "" : "s";

    switch (place->why) {
    case VH_PLACE_ANCHOR:
        return g_strdup_printf("%u task%s bound to guest CPU %d", place->wish.tasks, s, place->wish.guest_cpu);
    case VH_PLACE_GROUP:
        return g_strdup_printf("tasks bound to several CPUs: group %u shares a cache", place->wish.group);
    case VH_PLACE_ONE_DOMAIN:
        return g_strdup_printf("tasks bound to several CPUs: group %u; the pool %s has one cache for all",
                               place->wish.group, pool);
    case VH_PLACE_EXHAUSTED:
        return g_strdup_printf(
            "%u task%s bound to guest CPU %d, but every CPU of the pool %s has its anchor: enlarge it",
            place->wish.tasks, s, place->wish.guest_cpu, pool);
    case VH_PLACE_OFFLINE:
        return g_strdup_printf("no CPU of the pool %s is online", pool);
    default:
        return g_strdup("no task asks for it");
    }
}
