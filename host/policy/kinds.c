// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the kinds of hints that rules are about, and holds the rules against them.
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "policy/reader.h"

/* A kind that a program of the policy has. */
struct known {
    const char *program; /* as the manifest calls it */
    const struct vh_kind *kind;
};

/* Those of all programs, as the policy has them. */
static GArray *known_kinds(const VhPolicy *policy)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(struct known));

    for (guint i = 0; i < policy->programs->len; i++) {
        const struct vh_policy_program *program = g_ptr_array_index(policy->programs, i);

        for (guint j = 0; program->object && j < program->object->kind_count; j++) {
            const struct known known = {program->object->name, &program->object->kinds[j]};

            g_array_append_val(all, known);
        }
    }
    return all;
}

#define KNOWN(all, i) (&g_array_index(all, struct known, i))

/* ---- which program's ---- */

/* Which program a kind that stands alone is of: the one of that name, else the only one that has
 * it. NULL and an error: none, or several. */
static const char *owner_of(const GArray *all, const char *kind, GError **error)
{
    const char *owner = NULL;
    const char *other = NULL;

    for (guint i = 0; i < all->len; i++) {
        const struct known *known = KNOWN(all, i);

        if (!g_str_equal(known->kind->name, kind))
            continue;
        if (g_str_equal(known->program, kind))
            return known->program;
        if (owner && !g_str_equal(owner, known->program))
            other = known->program;
        owner = owner ? owner : known->program;
    }
    if (!other)
        return owner;
    vh_invalid(error, "several programs have hints of kind \"%s\": write %s/%s or %s/%s", kind,
               owner, kind, other, kind);
    return NULL;
}

/* Of a kind that nobody has. `word`: as it is written. */
static void refuse_kind(const GArray *all, const struct vh_rule *rule, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *word =
        rule->bare ? g_strdup(rule->kind) : g_strdup_printf("%s/%s", rule->program, rule->kind);
    g_autofree char *hint = NULL;
    const char *best = NULL;

    for (guint i = 0; i < all->len; i++)
        g_ptr_array_add(names, rule->bare ? g_strdup(KNOWN(all, i)->kind->name)
                                          : g_strdup_printf("%s/%s", KNOWN(all, i)->program,
                                                            KNOWN(all, i)->kind->name));
    g_ptr_array_add(names, NULL);
    best = vh_nearest(word, (const char *const *)names->pdata);
    hint = best ? g_strdup_printf("did you mean \"%s\"? (to make a program outside the program "
                                  "directory known, write [program NAME] path = FILE)",
                                  best)
                : g_strdup("no known program has hints: name the directory that has programs "
                           "([daemon] program-dir, or --program-dir)");
    vh_invalid(error, "no program has hints of kind \"%s\"; %s", word, hint);
}

/* 0, or -1 and an error. */
static int settle_program(const GArray *all, struct vh_rule *rule, GError **error)
{
    g_autoptr(GError) wrong = NULL;
    bool found = false;

    if (rule->bare)
        rule->program = g_strdup(owner_of(all, rule->kind, &wrong));
    for (guint i = 0; rule->program && i < all->len; i++)
        found = found || vh_rule_meets(rule, KNOWN(all, i)->kind);
    if (found)
        return 0;
    if (wrong)
        g_propagate_error(error, g_steal_pointer(&wrong));
    else
        refuse_kind(all, rule, error);
    return -1;
}

/* ---- does it fit? ---- */

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

/* A rule must fit its kind in one of the objects that are called so; what it says of the first is
 * the complaint, about `*key`. 0, or -1 and an error. */
static int check_fit(const GArray *all, const struct vh_rule *rule, const char **key,
                     GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < all->len; i++) {
        struct vh_bound_rule bound;
        const char *its = NULL;

        if (!vh_rule_meets(rule, KNOWN(all, i)->kind))
            continue;
        if (vh_rule_bind(rule, KNOWN(all, i)->kind, &bound, &its, first ? NULL : &first) == 0)
            return 0;
        *key = *key ? *key : its;
    }
    g_propagate_error(error, g_steal_pointer(&first));
    return -1;
}

static void check_rule(const struct vh_policy_reader *reader, const GArray *all,
                       struct vh_rule *rule)
{
    const struct vh_policy_section *section = section_of(reader, rule);
    const char *key = "on";
    g_autoptr(GError) error = NULL;
    int result = settle_program(all, rule, &error);

    if (result == 0) {
        key = NULL;
        rule->summary = vh_policy_rule_summary(section, rule);
        result = check_fit(all, rule, &key, &error);
    }
    if (result < 0)
        vh_policy_refuse(reader, section, vh_policy_entry(section, key), "%s", error->message);
}

void vh_policy_check_rules(struct vh_policy_reader *reader)
{
    g_autoptr(GArray) all = known_kinds(reader->policy);

    for (guint i = 0; i < reader->policy->rules->len; i++)
        check_rule(reader, all, g_ptr_array_index(reader->policy->rules, i));
}
