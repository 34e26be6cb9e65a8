// SPDX-License-Identifier: GPL-2.0-or-later
// boost FIELD [KIND]: the vCPUs of these guest CPUs go before others on the host for a while.
#include <math.h>
#include <string.h>

#include "action/fields.h"
#include "base/error.h"
#include "base/nearest.h"
#include "decide/boost.h"

static int find_kind(const char *kind, GError **error)
{
    const char *best = NULL;
    g_autofree char *all = NULL;

    for (int i = 0; i < VH_BOOST_COUNT; i++)
        if (g_str_equal(kind, vh_boost_names[i]))
            return i;
    best = vh_nearest(kind, vh_boost_names);
    all = g_strjoinv(", ", (char **)vh_boost_names);
    return vh_invalid(error, "there is no boost by \"%s\"; did you mean \"%s\"? (%s)", kind,
                      best ? best : vh_boost_names[0], all);
}

static int parse(const char *words, struct vh_do *what, GError **error)
{
    gsize len = strcspn(words, " \t");
    g_autofree char *kind = g_strstrip(g_strdup(words + len));

    what->how = *kind ? find_kind(kind, error) : VH_BOOST_NICE;
    what->first = g_strndup(words, len);
    return MIN(what->how, 0);
}

static int check(const struct vh_rule *rule, const char **key, GError **error)
{
    *key = "hold";
    if (rule->hold_us <= 0 || rule->hold_us > VH_BOOST_HOLD_MAX_US)
        return vh_invalid(error, "a boost always ends: write more than 0 and at most 60s");
    *key = "cooldown";
    if (rule->cooldown_us < VH_BOOST_REST_MIN_US)
        return vh_invalid(error, "a boost always rests: write 100ms or more");
    return 0;
}

static void add(struct vh_sum *sum, const struct vh_ask *asked)
{
    for (unsigned cpu = vh_mask_next(asked->mask, 0); cpu < VH_CPUS_MAX;
         cpu = vh_mask_next(asked->mask, cpu + 1)) {
        struct vh_wish *wish = vh_sum_wish(sum, cpu);

        if (!wish)
            continue;
        if (!wish->boost || asked->rule->order > wish->boost->order)
            wish->boost = asked->rule;
        if (isnan(wish->figure) || asked->figure > wish->figure)
            wish->figure = asked->figure;
    }
}

static char *explain(const struct vh_wish *wish)
{
    return g_strdup_printf("boosted by %s", vh_boost_names[wish->boost->what.how]);
}

const struct vh_action vh_action_boost = {
    .name = "boost",
    .words = "FIELD [KIND]",
    .actuator = "boost",
    .traits =
        VH_ACTION_TRIES | VH_ACTION_TRIED | VH_ACTION_LOSS | VH_ACTION_FIGURE | VH_ACTION_BRIEF,
    .hold_us = VH_BOOST_HOLD_US,
    .cooldown_us = VH_BOOST_REST_US,
    .parse = parse,
    .check = check,
    .bind = vh_fields_bind,
    .ask = vh_fields_cpus,
    .add = add,
    .explain = explain,
};
