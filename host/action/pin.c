// SPDX-License-Identifier: GPL-2.0-or-later
// pin FIELD: the vCPU that serves one guest CPU gets a host CPU of its own.
#include "action/fields.h"

static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    unsigned cpu = vh_mask_next(asked->mask, 0);
    struct vh_wish *wish = vh_sum_wish(sum, cpu);

    if (!wish)
        return;
    wish->kind = VH_WISH_ANCHOR;
    wish->guest_cpu = (int)cpu;
    wish->tasks += !asked->held;
    wish->rule = vh_sum_first(wish->rule, asked->rule);
    wish->tried = vh_sum_tried(wish->tried, asked->rule);
}

static char *explain(const struct vh_wish *wish)
{
    if (!wish->tasks)
        return g_strdup_printf("guest CPU %d is held pinned for a while", wish->guest_cpu);
    return g_strdup_printf("%u hint%s guest CPU %d", wish->tasks,
                           wish->tasks == 1 ? " pins" : "s pin", wish->guest_cpu);
}

const struct vh_action vh_action_pin = {
    .name = "pin",
    .words = "FIELD",
    .actuator = "pin",
    .traits = VH_ACTION_TRIES | VH_ACTION_KEPT | VH_ACTION_LOSS | VH_ACTION_SINGLE,
    .parse = vh_fields_parse,
    .bind = vh_fields_bind,
    .ask = vh_fields_cpus,
    .add = add,
    .explain = explain,
};
