// SPDX-License-Identifier: GPL-2.0-or-later
// Reads rules' parts and binds rules to kinds of hints.
#include "policy/rule.h"

#include "base/error.h"

void vh_rule_free(struct vh_rule *rule)
{
    g_free(rule->name);
    g_free(rule->on);
    vh_when_free(rule->when);
    vh_do_clear(&rule->what);
    g_free(rule->figure);
    g_free(rule->summary);
    g_free(rule);
}

int vh_duration_parse(const char *text, gint64 *us, GError **error)
{
    static const struct {
        const char *name;
        gint64 us;
    } units[] = {{"us", 1},
                 {"ms", 1000},
                 {"s", G_USEC_PER_SEC},
                 {"m", (gint64)60 * G_USEC_PER_SEC},
                 {"h", (gint64)3600 * G_USEC_PER_SEC}};
    char *end = NULL;
    guint64 number = g_ascii_strtoull(text, &end, 10);

    if (!g_ascii_isdigit(*text))
        return vh_invalid(error, "\"%s\" is no duration: write 250ms, 2s, 5m or 1h", text);
    if (number == 0 && !*end) {
        *us = 0;
        return 0;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        if (!g_str_equal(end, units[i].name))
            continue;
        if (number > (guint64)(VH_HOLD_MAX_US / units[i].us))
            return vh_invalid(error, "\"%s\" is longer than 24h", text);
        *us = (gint64)number * units[i].us;
        return 0;
    }
    return vh_invalid(error, "\"%s\" has %s unit: write 250ms, 2s, 5m or 1h", text,
                      *end ? "an unknown" : "no");
}

/* ---- binding ---- */

int vh_rule_bind(const struct vh_rule *rule, const struct vh_kind *kind,
                 struct vh_bound_rule *bound, const char **key, GError **error)
{
    struct vh_bound_rule made = {.rule = rule};

    *key = "when";
    if (rule->when && vh_when_bind(rule->when, kind, &made.tests, error) < 0)
        return -1;
    *key = "do";
    if (rule->what.action->bind(&rule->what, kind, &made.what, error) < 0)
        return -1;
    *key = "figure";
    if (rule->figure && vh_fieldref_find_number(kind, rule->figure, &made.figure, error) < 0)
        return -1;
    *bound = made;
    return 0;
}
