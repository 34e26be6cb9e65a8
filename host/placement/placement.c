// SPDX-License-Identifier: GPL-2.0-or-later
// What goes into a plan and what comes out of it: values.
#include "placement/placement.h"

void vh_placement_defaults(struct vh_placement_options *options)
{
    *options = (struct vh_placement_options){.smt = VH_SMT_AVOID,
                                             .floating = VH_FLOAT_FREE,
                                             .emulator.where = VH_WHERE_FREE,
                                             .iothreads.where = VH_WHERE_FREE,
                                             .vhosts.where = VH_WHERE_FREE};
}

bool vh_placement_places_threads(const struct vh_placement_options *options)
{
    return options->emulator.where != VH_WHERE_FREE || options->iothreads.where != VH_WHERE_FREE ||
           options->vhosts.where != VH_WHERE_FREE || options->dedicated;
}

struct vh_placed vh_placed_now(const struct vh_topology *topology, const struct vh_cpuset *cpus)
{
    struct vh_placed placed = {.level = VH_LEVEL_POOL, .cpu = -1, .set = -1};
    int first = vh_cpuset_next(cpus, 0);

    if (first < 0 || !vh_cpuset_has(&topology->online, (unsigned)first))
        return placed;
    const struct vh_host_cpu *at = &topology->cpus[first];
    if (vh_cpuset_next(cpus, (unsigned)first + 1) < 0)
        placed.level = VH_LEVEL_CPU;
    else if (vh_cpuset_within(cpus, &topology->l3s[at->l3].cpus))
        placed.level = VH_LEVEL_L3;
    else if (vh_cpuset_within(cpus, &topology->nodes[at->node].cpus))
        placed.level = VH_LEVEL_NODE;
    else
        return placed;
    placed.cpu = first;
    return placed;
}

void vh_plan_free(struct vh_plan *plan)
{
    if (!plan)
        return;
    g_free(plan->first);
    g_free(plan->threads);
    g_free(plan->sets);
    g_free(plan->problems);
    g_free(plan);
}
