// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [rule NAME] sections.
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "decide/trial.h"
#include "policy/reader.h"

/* "PROGRAM/KIND", or "KIND" alone. */
static int take_on(const char *value, const struct vh_policy_reader *reader, gpointer into,
                   GError **error)
{
    struct vh_rule *rule = into;
    const char *slash = strchr(value, '/');
    const char *kind = slash ? slash + 1 : value;

    (void)reader;
    if (!*kind || strchr(kind, '/') || slash == value)
        return vh_invalid(error, "\"%s\" is no kind of hint: write PROGRAM/KIND, or KIND", value);
    rule->bare = !slash;
    rule->program = slash ? g_strndup(value, (gsize)(slash - value)) : NULL;
    rule->kind = g_strdup(kind);
    return 0;
}

static int take_when(const char *value, const struct vh_policy_reader *reader, gpointer into,
                     GError **error)
{
    VhWhen *when = *value ? vh_when_parse(value, error) : NULL;

    (void)reader;
    if (*value && !when)
        return -1;
    *(VhWhen **)into = when;
    return 0;
}

static int take_do(const char *value, const struct vh_policy_reader *reader, gpointer into,
                   GError **error)
{
    (void)reader;
    return vh_do_parse(value, into, error);
}

#define RULE(member) .at = offsetof(struct vh_rule, member)

/* In the order in which a rule's summary has them; "on" is the first. */
static const struct vh_policy_key rule_keys[] = {
    {"on", .take = take_on},
    {"when", RULE(when), .take = take_when},
    {"do", RULE(what), .take = take_do},
    {"hold", RULE(hold_us), .take = vh_policy_take_time},
    {"cooldown", RULE(cooldown_us), .take = vh_policy_take_time},
    {"enabled", RULE(enabled), .take = vh_policy_take_bool},
    {"trial", RULE(trial), .take = vh_policy_take_bool},
    {"max-loss", RULE(loss), .take = vh_policy_take_share},
    {"figure", RULE(figure), .take = vh_policy_take_text},
    {0},
};

/* What only some actions have. */
static void check_trait(const struct vh_policy_reader *reader,
                        const struct vh_policy_section *section, const struct vh_rule *rule,
                        enum vh_action_trait trait, const char *key, const char *words)
{
    const struct vh_policy_entry *entry = vh_policy_entry(section, key);
    g_autofree char *names = vh_actions_with(trait);

    if (entry && !(rule->what.action->traits & trait))
        vh_policy_refuse(reader, section, entry, "only %s %s", names, words);
}

/* Holds the rule against its action, which also says what the files do not. */
static void fit_action(const struct vh_policy_reader *reader,
                       const struct vh_policy_section *section, struct vh_rule *rule)
{
    const struct vh_action *action = rule->what.action;
    const char *key = NULL;
    g_autoptr(GError) error = NULL;

    if (!vh_policy_entry(section, "trial"))
        rule->trial = action->traits & VH_ACTION_TRIED;
    if (!vh_policy_entry(section, "hold"))
        rule->hold_us = action->hold_us;
    if (!vh_policy_entry(section, "cooldown"))
        rule->cooldown_us = action->cooldown_us;
    check_trait(reader, section, rule, VH_ACTION_TRIES, "trial", "can be on trial");
    check_trait(reader, section, rule, VH_ACTION_LOSS, "max-loss", "can have a max-loss");
    check_trait(reader, section, rule, VH_ACTION_FIGURE, "figure", "can have a figure");
    if (action->check && action->check(rule, &key, &error) < 0)
        vh_policy_refuse(reader, section, vh_policy_entry(section, key), "%s", error->message);
}

static void refuse_no_action(const struct vh_policy_reader *reader,
                             const struct vh_policy_section *section)
{
    g_autofree const char **names = vh_action_names(NULL);
    g_autofree char *all = g_strjoinv(", ", (char **)names);

    vh_policy_refuse(reader, section, NULL, "the key \"do\" is missing: write do = ACTION (%s)",
                     all);
}

char *vh_policy_rule_summary(const struct vh_policy_section *section, const struct vh_rule *rule)
{
    g_autoptr(GString) out = g_string_new(NULL);

    g_string_append_printf(out, "on %s/%s", rule->program, rule->kind);
    for (const struct vh_policy_key *key = rule_keys + 1; key->name; key++) {
        const struct vh_policy_entry *entry = vh_policy_entry(section, key->name);

        if (entry)
            g_string_append_printf(out, ", %s %s", entry->key, entry->value);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

void vh_policy_read_rule(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    struct vh_rule *rule = g_new0(struct vh_rule, 1);
    guint known = reader->problems->len;

    rule->name = g_strdup(section->name + strlen("rule "));
    rule->enabled = true;
    rule->loss = VH_TRIAL_LOSS;
    rule->origin = section->origin;
    vh_policy_take_all(reader, section, rule_keys, rule);
    if (rule->what.action)
        fit_action(reader, section, rule);
    if (!vh_policy_entry(section, "on"))
        vh_policy_refuse(reader, section, NULL,
                         "the key \"on\" is missing: which kind of hint is it about?");
    if (!vh_policy_entry(section, "do"))
        refuse_no_action(reader, section);
    if (reader->policy->rules->len == VH_RULES_MAX)
        vh_policy_refuse(reader, section, NULL, "more than %u rules", VH_RULES_MAX);
    if (reader->problems->len > known) {
        vh_rule_free(rule);
        return;
    }
    rule->order = reader->policy->rules->len;
    g_ptr_array_add(reader->policy->rules, rule);
}
