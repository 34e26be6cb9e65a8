// SPDX-License-Identifier: GPL-2.0-or-later
// Reads rules' parts and binds rules to kinds of hints.
#include "policy/rule.h"

void vh_rule_free(struct vh_rule *rule)
{
    g_free(rule->name);
    g_free(rule->program);
    g_free(rule->kind);
    vh_when_free(rule->when);
    vh_do_clear(&rule->what);
    g_free(rule->figure);
    g_free(rule->summary);
    g_free(rule);
}

bool vh_rule_meets(const struct vh_rule *rule, const struct vh_kind *kind)
{
    return g_str_equal(rule->kind, kind->name) && g_str_equal(rule->program, kind->object->name);
}

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
