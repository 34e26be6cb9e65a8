// SPDX-License-Identifier: GPL-2.0-or-later
// Says in words what a plan holds and what it could not do.
#include "placement/placement.h"

static const struct {
    const char *name;
    const char *why;
} reasons[] = {
    [VH_REASON_NONE] = {"none", "nothing asks for a place"},
    [VH_REASON_ANCHOR] = {"anchor", "no other anchor on its core"},
    [VH_REASON_ANCHOR_CORE] = {"anchor-core", "another anchor on its core"},
    [VH_REASON_ANCHOR_CPU] = {"anchor-cpu", "shared with other anchors, by overcommit"},
    [VH_REASON_GROUP_L3] = {"group-l3", "its group is kept under one L3"},
    [VH_REASON_GROUP_NODE] = {"group-node",
                              "its group is kept on one NUMA node: no L3 has a CPU for each"},
    [VH_REASON_GROUP_WHOLE] = {"group-whole", "the whole pool is under one L3 or on one NUMA node"},
    [VH_REASON_GROUP_SPREAD] = {"group-spread", "its group fits into no NUMA node of the pool"},
    [VH_REASON_POOL] = {"pool", "the guest's pool"},
    [VH_REASON_NODE] = {"node", "the guest's pool, beside its memory"},
    [VH_REASON_OFF_ANCHORS] = {"off-anchors", "the guest's pool, off the cores of its anchors"},
    [VH_REASON_CROWDED] = {"crowded", "the guest's pool: its anchors have every core"},
    [VH_REASON_SET] = {"set", "named by the policy"},
    [VH_REASON_FULL] =
        {"full",
         "every usable CPU of the pool has an anchor: enlarge the pool or allow overcommit"},
    [VH_REASON_NO_CPU] = {"no-cpu",
                          "no CPU that it may use is online, unreserved and outside other guests' "
                          "dedicated pools"},
    [VH_REASON_OVERLAP] = {"overlap", "the guest's dedicated pool overlaps another's"},
    [VH_REASON_GROUPS] = {"groups", "too many groups"},
};
G_STATIC_ASSERT(G_N_ELEMENTS(reasons) == VH_REASON_COUNT);

const char *vh_reason_name(enum vh_reason reason)
{
    return (unsigned)reason < VH_REASON_COUNT ? reasons[reason].name : "?";
}

void vh_place_take(struct vh_place *place, const struct vh_placement_input *input,
                   const struct vh_plan *plan, unsigned guest, unsigned thread)
{
    const struct vh_placed *placed = vh_plan_thread(plan, guest, thread);
    const struct vh_cpuset *set = vh_plan_set(plan, placed);
    const struct vh_host_cpu *at = NULL;

    *place = (struct vh_place){.reason = placed->reason, .cpu = -1};
    if (set && placed->level == VH_LEVEL_CPU) {
        at = &input->topology->cpus[placed->cpu];
        place->cpu = placed->cpu;
        place->node = input->topology->nodes[at->node].number;
    } else if (set) {
        g_autofree char *list = vh_cpuset_format(set);

        place->cpus = g_ref_string_new(list);
    }
}

void vh_place_clear(struct vh_place *place)
{
    g_clear_pointer(&place->cpus, g_ref_string_release);
}

char *vh_place_text(const struct vh_place *place)
{
    const char *why = reasons[place->reason].why;

    if (place->cpu >= 0)
        return g_strdup_printf("CPU %d of NUMA node %u: %s", place->cpu, place->node, why);
    if (place->cpus)
        return g_strdup_printf("CPUs %s: %s", place->cpus, why);
    return g_strdup_printf("floats: %s", why);
}

char *vh_placed_text(const struct vh_placement_input *input, const struct vh_plan *plan,
                     unsigned guest, unsigned thread)
{
    g_auto(VhPlace) place = {0};

    vh_place_take(&place, input, plan, guest, thread);
    return vh_place_text(&place);
}

static char *thread_text(const struct vh_placement_guest *guest, int thread)
{
    unsigned number = (unsigned)thread;

    if (thread < 0)
        return g_strdup_printf("guest \"%s\"", guest->name);
    if (number < guest->vcpus)
        return g_strdup_printf("guest \"%s\" vCPU %u", guest->name, number);
    if (number == vh_placement_emulator(guest))
        return g_strdup_printf("guest \"%s\" emulator", guest->name);
    if (number < vh_placement_vhost(guest, 0))
        return g_strdup_printf("guest \"%s\" IOThread %u", guest->name,
                               number - vh_placement_iothread(guest, 0));
    return g_strdup_printf("guest \"%s\" vhost worker %u", guest->name,
                           number - vh_placement_vhost(guest, 0));
}

char *vh_problem_text(const struct vh_placement_input *input, const struct vh_plan *plan,
                      const struct vh_problem *problem)
{
    const struct vh_placement_guest *guest = &input->guests[problem->guest];
    g_autofree char *who = thread_text(guest, problem->thread);
    g_autofree char *pool = vh_cpuset_format(&guest->options->pool);
    g_autofree char *cpus = problem->set < 0 ? NULL : vh_cpuset_format(&plan->sets[problem->set]);
    const char *where = *pool ? pool : "every CPU";

    switch (problem->reason) {
    case VH_REASON_FULL:
        return g_strdup_printf(
            "%s floats: every usable CPU of its pool (%s) has an anchor; enlarge the pool or allow "
            "overcommit",
            who, where);
    case VH_REASON_CROWDED:
        return g_strdup_printf("%s: its anchors have every core of its pool (%s), so what floats "
                               "shares these cores; enlarge the pool",
                               who, where);
    case VH_REASON_GROUP_SPREAD:
        return g_strdup_printf("%s: its group fits into no NUMA node of its pool (%s) and is "
                               "spread over the pool; add CPUs of one node to the pool",
                               who, where);
    case VH_REASON_NO_CPU:
        if (problem->thread >= 0)
            return g_strdup_printf(
                "%s is left alone: no CPU that the policy names for it is online, unreserved and "
                "outside other guests' dedicated pools; name others",
                who);
        return g_strdup_printf(
            "%s is left alone: no CPU of its pool (%s) is online, unreserved and outside other "
            "guests' dedicated pools; change the pool",
            who, where);
    case VH_REASON_OVERLAP:
        return g_strdup_printf(
            "%s is left alone: its dedicated pool overlaps that of guest \"%s\" in CPUs %s; give "
            "each a pool of its own",
            who, input->guests[problem->other].name, cpus);
    case VH_REASON_GROUPS:
        return g_strdup_printf("%s: %u of its %u groups are placed, the others float", who,
                               VH_PLACEMENT_GROUPS_MAX, guest->group_count);
    default:
        return g_strdup_printf("%s: %s", who, vh_reason_name(problem->reason));
    }
}
