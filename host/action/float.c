// SPDX-License-Identifier: GPL-2.0-or-later
// float [FIELD]: the vCPUs of these guest CPUs, or all, are left alone whatever other rules say.
#include <math.h>

#include "action/fields.h"

static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    unsigned cpu = vh_mask_next(asked->mask, 0);

    sum->float_all = sum->float_all || cpu == VH_CPUS_MAX;
    for (; cpu < VH_CPUS_MAX; cpu = vh_mask_next(asked->mask, cpu + 1))
        vh_mask_add(&sum->floats, cpu);
}

static void end(struct vh_sum *sum)
{
    if (!sum->float_all && vh_mask_empty(&sum->floats))
        return;
    for (unsigned cpu = 0; cpu < VH_CPUS_MAX; cpu++) {
        struct vh_wish *wish =
            sum->float_all || vh_mask_has(&sum->floats, cpu) ? vh_sum_wish(sum, cpu) : NULL;

        if (!wish)
            continue;
        *wish = (struct vh_wish){.guest_cpu = -1, .figure = NAN};
        for (guint i = 0; i < sum->nears->len; i++)
            vh_mask_del(&g_array_index(sum->nears, struct vh_near, i).vcpus,
                        (unsigned)sum->map->cpus[cpu].vcpu);
    }
}

const struct vh_action vh_action_float = {
    .name = "float",
    .words = "[FIELD]",
    .traits = VH_ACTION_WHOLE,
    .parse = vh_fields_parse,
    .bind = vh_fields_bind,
    .ask = vh_fields_cpus,
    .add = add,
    .end = end,
};
