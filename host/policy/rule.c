// SPDX-License-Identifier: GPL-2.0-or-later
// Reads rules' parts and binds rules to kinds of hints.
#include "policy/rule.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "wire.h"

const char *const vh_action_names[] = {
    [VH_ACTION_PIN] = "pin",     [VH_ACTION_GROUP] = "group",
    [VH_ACTION_FLOAT] = "float", [VH_ACTION_LOG] = "log",
    [VH_ACTION_BOOST] = "boost", [VH_ACTION_MEMORY] = "memory",
    [VH_ACTION_NEAR] = "near",   NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_action_names) == VH_ACTION_COUNT + 1);

void vh_rule_free(struct vh_rule *rule)
{
    g_free(rule->name);
    g_free(rule->on);
    vh_when_free(rule->when);
    g_free(rule->argument);
    g_free(rule->figure);
    g_free(rule->summary);
    g_free(rule);
}

/* Takes the kind off the end of "FIELD [KIND]". 0, or -1 and an error. */
static int take_boost(char *rest, enum vh_boost_kind *boost, GError **error)
{
    char *kind = strpbrk(rest, " \t");
    const char *best = NULL;

    *boost = VH_BOOST_NICE;
    if (!kind)
        return 0;
    *kind++ = 0;
    kind = g_strchug(kind);
    for (int i = 0; i < VH_BOOST_COUNT; i++) {
        if (!g_str_equal(kind, vh_boost_names[i]))
            continue;
        *boost = (enum vh_boost_kind)i;
        return 0;
    }
    best = vh_nearest(kind, vh_boost_names);
    return vh_invalid(
        error, "there is no boost by \"%s\"; did you mean \"%s\"? (nice, rr, weight, uclamp, auto)",
        kind, best ? best : vh_boost_names[0]);
}

int vh_rule_parse_do(const char *text, enum vh_action *action, char **argument,
                     enum vh_boost_kind *boost, GError **error)
{
    gsize len = strcspn(text, " \t");
    g_autofree char *verb = g_strndup(text, len);
    g_autofree char *rest = g_strstrip(g_strdup(text + len));
    int found = -1;

    for (int i = 0; i < VH_ACTION_COUNT; i++)
        if (g_str_equal(vh_action_names[i], verb))
            found = i;
    if (found < 0) {
        const char *best = vh_nearest(verb, vh_action_names);

        return vh_invalid(error,
                          "there is no action \"%s\"; did you mean \"%s\"? (pin FIELD, group "
                          "FIELD, float [FIELD], "
                          "log TEXT, boost FIELD [KIND], memory [FIELD], near FIELD [FIELD])",
                          verb, best ? best : vh_action_names[0]);
    }
    if (!*rest && found != VH_ACTION_FLOAT && found != VH_ACTION_MEMORY)
        return vh_invalid(error,
                          found == VH_ACTION_LOG ? "log what? write: log TEXT"
                                                 : "%s what? write: %s FIELD",
                          verb, verb);
    if (found == VH_ACTION_BOOST && take_boost(rest, boost, error) < 0)
        return -1;
    if (found == VH_ACTION_NEAR && strpbrk(rest, " \t")) {
        g_auto(GStrv) fields = g_strsplit(g_strdelimit(rest, "\t", ' '), " ", 2);

        g_strstrip(fields[1]);
        if (strchr(fields[1], ' '))
            return vh_invalid(error, "near takes one field or two, not \"%s\"", rest);
        *action = VH_ACTION_NEAR;
        *argument = g_strjoinv(" ", fields);
        return 0;
    }
    if (found != VH_ACTION_LOG && strpbrk(rest, " \t"))
        return vh_invalid(error, "%s takes one field, not \"%s\"", verb, rest);
    *action = (enum vh_action)found;
    *argument = g_steal_pointer(&rest);
    return 0;
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

/* ---- the text of "log" ---- */

/* Appends text with its fields; `record` NULL: only checks that they are there. 0 or -1. */
static int expand(const char *text, const struct vh_kind *kind, const uint8_t *record, GString *out,
                  GError **error)
{
    const char *at = text;

    while (*at) {
        const char *open = strchr(at, '{');
        const char *close = open ? strchr(open, '}') : NULL;
        g_autofree char *path = NULL;
        struct vh_fieldref ref;

        if (!open)
            break;
        if (!close)
            return vh_invalid(error, "\"%s\" has no \"}\"", open);
        path = g_strndup(open + 1, (gsize)(close - open - 1));
        if (vh_fieldref_find(kind, path, &ref, error) < 0)
            return -1;
        if (record) {
            g_string_append_len(out, at, open - at);
            vh_fieldref_print(kind, &ref, record, out);
        }
        at = close + 1;
    }
    if (record)
        g_string_append(out, at);
    return 0;
}

char *vh_rule_text(const struct vh_rule *rule, const struct vh_kind *kind, const uint8_t *record)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (expand(rule->argument, kind, record, out, NULL) < 0)
        g_string_assign(out, rule->argument);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

/* ---- binding ---- */

static int bind_strength(const char *field, const struct vh_kind *kind, struct vh_bound_rule *bound,
                         GError **error)
{
    if (vh_fieldref_find(kind, field, &bound->strength, error) < 0)
        return -1;
    bound->has_strength = true;
    return bound->strength.type == VH_FIELD_INT ? 0
                                                : vh_invalid(error, "\"%s\" is no integer", field);
}

static int bind_target(const struct vh_rule *rule, const struct vh_kind *kind,
                       struct vh_bound_rule *bound, GError **error)
{
    const struct vh_fieldref *target = &bound->target;
    g_auto(GStrv) fields =
        g_strsplit(rule->argument, rule->action == VH_ACTION_NEAR ? " " : "\n", 2);

    if (rule->action == VH_ACTION_LOG)
        return expand(rule->argument, kind, NULL, NULL, error);
    if (!*rule->argument)
        return 0;
    if (vh_fieldref_find(kind, *fields, &bound->target, error) < 0)
        return -1;
    bound->has_target = true;
    if (rule->action == VH_ACTION_NEAR && fields[1] &&
        bind_strength(fields[1], kind, bound, error) < 0)
        return -1;
    if (target->type != VH_FIELD_INT && target->type != VH_FIELD_INTS)
        return vh_invalid(
            error, "\"%s\" is neither an integer nor an array of integers, so it names no CPUs",
            rule->argument);
    if (target->type == VH_FIELD_INTS && (gsize)target->bits * target->count > VH_CPUS_MAX)
        return vh_invalid(error, "\"%s\" has %u bits, and a mask of CPUs has at most %u",
                          rule->argument, target->bits * target->count, VH_CPUS_MAX);
    return 0;
}

/* How much the guest can spare. */
static int bind_room(const struct vh_rule *rule, const struct vh_kind *kind,
                     struct vh_bound_rule *bound, GError **error)
{
    if (!*rule->argument)
        return 0;
    if (vh_fieldref_find(kind, rule->argument, &bound->room, error) < 0)
        return -1;
    bound->has_room = true;
    return bound->room.type == VH_FIELD_INT
               ? 0
               : vh_invalid(error, "\"%s\" is no integer", rule->argument);
}

static int bind_figure(const struct vh_rule *rule, const struct vh_kind *kind,
                       struct vh_fieldref *figure, GError **error)
{
    if (vh_fieldref_find(kind, rule->figure, figure, error) < 0)
        return -1;
    return figure->type == VH_FIELD_INT ? 0
                                        : vh_invalid(error, "\"%s\" is no integer", rule->figure);
}

int vh_rule_bind(const struct vh_rule *rule, const struct vh_kind *kind,
                 struct vh_bound_rule *bound, GError **error)
{
    struct vh_bound_rule made = {.rule = rule};

    if (rule->when && vh_when_bind(rule->when, kind, &made.tests, error) < 0) {
        g_prefix_error(error, "when: ");
        return -1;
    }
    if ((rule->action == VH_ACTION_MEMORY ? bind_room : bind_target)(rule, kind, &made, error) <
        0) {
        g_prefix_error(error, "do: ");
        return -1;
    }
    if (rule->figure && bind_figure(rule, kind, &made.figure, error) < 0) {
        g_prefix_error(error, "figure: ");
        return -1;
    }
    *bound = made;
    return 0;
}
