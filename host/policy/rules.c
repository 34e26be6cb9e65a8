// SPDX-License-Identifier: GPL-2.0-or-later
// Reads [rule NAME] sections and holds them against the kinds of hints that the programs have.
#include <stddef.h>
#include <string.h>

#include "base/nearest.h"
#include "decide/trial.h"
#include "policy/reader.h"

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

/* In the order in which a rule's summary has them. */
static const struct vh_policy_key rule_keys[] = {
    {"on", RULE(on), .take = vh_policy_take_text},
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

static char *summarize(const struct vh_policy_section *section)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (const struct vh_policy_key *key = rule_keys; key->name; key++) {
        const struct vh_policy_entry *entry = vh_policy_entry(section, key->name);

        if (entry)
            g_string_append_printf(out, "%s%s %s", out->len ? ", " : "", entry->key, entry->value);
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
    if (!rule->on)
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
    rule->summary = summarize(section);
    g_ptr_array_add(reader->policy->rules, rule);
}

/* ---- rules against kinds ---- */

static const struct vh_policy_section *section_of(const struct vh_policy_reader *reader,
                                                  const struct vh_rule *rule)
{
    for (guint i = 0; i < reader->sections->len; i++) {
        const struct vh_policy_section *section = g_ptr_array_index(reader->sections, i);

        if (g_str_has_prefix(section->name, "rule ") &&
            g_str_equal(section->name + strlen("rule "), rule->name))
            return section;
    }
    return NULL;
}

static void refuse_kind(const struct vh_policy_reader *reader, const struct vh_rule *rule,
                        const struct vh_policy_section *section)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *best = NULL;
    g_autofree char *hint = NULL;

    for (guint i = 0; i < reader->policy->programs->len; i++) {
        const struct vh_policy_program *program = g_ptr_array_index(reader->policy->programs, i);

        for (guint j = 0; program->object && j < program->object->kind_count; j++)
            g_ptr_array_add(names, program->object->kinds[j].name);
    }
    g_ptr_array_add(names, NULL);
    best = vh_nearest(rule->on, (const char *const *)names->pdata);
    hint = best ? g_strdup_printf("did you mean \"%s\"? (to make a program outside the program "
                                  "directory known, write [program NAME] path = FILE)",
                                  best)
                : g_strdup("no known program has hints: name the directory that has programs "
                           "([daemon] program-dir, or --program-dir)");
    vh_policy_refuse(reader, section, vh_policy_entry(section, "on"),
                     "no program has hints of kind \"%s\"; %s", rule->on, hint);
}

/* A rule must fit one of the programs that have its kind; what it says of the first is the
 * complaint. */
static void check_rule(const struct vh_policy_reader *reader, const struct vh_rule *rule)
{
    const struct vh_policy_section *section = section_of(reader, rule);
    g_autoptr(GError) first = NULL;
    const char *key = NULL;

    for (guint i = 0; i < reader->policy->programs->len; i++) {
        const struct vh_policy_program *program = g_ptr_array_index(reader->policy->programs, i);

        for (guint j = 0; program->object && j < program->object->kind_count; j++) {
            const struct vh_kind *kind = &program->object->kinds[j];
            struct vh_bound_rule bound;
            const char *its = NULL;

            if (!g_str_equal(kind->name, rule->on))
                continue;
            if (vh_rule_bind(rule, kind, &bound, &its, first ? NULL : &first) == 0)
                return;
            key = key ? key : its;
        }
    }
    if (!first) {
        refuse_kind(reader, rule, section);
        return;
    }
    vh_policy_refuse(reader, section, vh_policy_entry(section, key), "%s", first->message);
}

void vh_policy_check_rules(struct vh_policy_reader *reader)
{
    for (guint i = 0; i < reader->policy->rules->len; i++)
        check_rule(reader, g_ptr_array_index(reader->policy->rules, i));
}
