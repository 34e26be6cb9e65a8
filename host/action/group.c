// SPDX-License-Identifier: GPL-2.0-or-later
// group FIELD: the vCPUs of these guest CPUs stay close together; groups that share one are one.
#include "action/group.h"

#include <stdlib.h>

#include "action/fields.h"

/* Merges what is asked with all groups that it touches. */
static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    struct vh_sum_group made = {*asked->mask, asked->rule, vh_sum_tried(NULL, asked->rule)};

    if (!vh_mask_several(asked->mask))
        return;
    for (unsigned i = 0; i < sum->group_count;) {
        struct vh_sum_group *group = &sum->groups[i];

        if (!vh_mask_touch(&group->mask, &made.mask)) {
            i++;
            continue;
        }
        vh_mask_or(&made.mask, &group->mask);
        made.rule = vh_sum_first(made.rule, group->rule);
        if (group->tried)
            made.tried = vh_sum_tried(made.tried, group->tried);
        *group = sum->groups[--sum->group_count];
    }
    sum->groups[sum->group_count++] = made;
}

static int by_lowest_cpu(gconstpointer a, gconstpointer b)
{
    return (int)vh_mask_next(&((const struct vh_sum_group *)a)->mask, 0) -
           (int)vh_mask_next(&((const struct vh_sum_group *)b)->mask, 0);
}

/* Groups' numbers follow their lowest CPU, so that they do not depend on the order of facts. */
static void end(struct vh_sum *sum)
{
    qsort(sum->groups, sum->group_count, sizeof(sum->groups[0]), by_lowest_cpu);
    for (unsigned i = 0; i < sum->group_count; i++) {
        const struct vh_sum_group *group = &sum->groups[i];

        for (unsigned cpu = vh_mask_next(&group->mask, 0); cpu < VH_CPUS_MAX;
             cpu = vh_mask_next(&group->mask, cpu + 1)) {
            struct vh_wish *wish = vh_sum_wish(sum, cpu);

            if (!wish)
                continue;
            wish->group = i + 1;
            if (wish->kind == VH_WISH_NONE) {
                wish->kind = VH_WISH_GROUP;
                wish->rule = group->rule;
                wish->tried = group->tried;
            }
        }
    }
}

char *vh_group_explain(const struct vh_wish *wish)
{
    return g_strdup_printf("in group %u", wish->group);
}

const struct vh_action vh_action_group = {
    .name = "group",
    .words = "FIELD",
    .actuator = "pin",
    .traits = VH_ACTION_TRIES | VH_ACTION_KEPT | VH_ACTION_LOSS,
    .parse = vh_fields_parse,
    .bind = vh_fields_bind,
    .ask = vh_fields_mask,
    .add = add,
    .end = end,
    .explain = vh_group_explain,
};
