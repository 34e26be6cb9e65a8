// SPDX-License-Identifier: GPL-2.0-or-later
// Says what is in force for a thread, and since when.
#include "act/state.h"

const union vh_setting *vh_actuate_setting(const VhActuate *actuate,
                                           const struct vh_target_key *key)
{
    const struct item *item = vh_items_find(actuate, key);

    return item && item->applied ? &item->set : NULL;
}

const union vh_setting *vh_actuate_barred(const VhActuate *actuate, const struct vh_target_key *key)
{
    const struct item *item = vh_items_find(actuate, key);

    return item && item->barred ? &item->set : NULL;
}

void vh_actuate_look(const VhActuate *actuate, const struct vh_target_key *key,
                     struct vh_actuate_look *look)
{
    struct item *item = vh_items_find(actuate, key);

    *look = (struct vh_actuate_look){0};
    if (!item)
        return;
    look->problem = item->problem;
    if (!item->applied)
        return;
    look->set = &item->set;
    if (*vh_items_former(actuate, item))
        look->former = item->former;
}

void vh_actuate_describe(const VhActuate *actuate, const struct vh_target_key *key, char **former,
                         const char **problem)
{
    struct vh_actuate_look look;

    vh_actuate_look(actuate, key, &look);
    *former = g_strdup(look.former ? look.former : "");
    *problem = look.problem ? look.problem : "";
}

gint64 vh_actuate_age(const VhActuate *actuate, const struct vh_target_key *key)
{
    const struct item *item = vh_items_find(actuate, key);

    return item && item->applied ? g_get_monotonic_time() - item->since : -1;
}
