/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy's rule: on a kind of hint, when a condition holds, do an action.
 *
 * A rule is compiled once for each kind that it meets (struct vh_bound_rule); the kind may be of
 * any program, known or not when the rule was written. */
#pragma once

#include "decide/boost.h"
#include "policy/when.h"

enum vh_action {
    VH_ACTION_PIN,
    VH_ACTION_GROUP,
    VH_ACTION_FLOAT,
    VH_ACTION_LOG,
    VH_ACTION_BOOST,
    VH_ACTION_MEMORY,
    VH_ACTION_NEAR,
    VH_ACTION_COUNT
};

#define VH_ACTIONS_ALL ((1u << VH_ACTION_COUNT) - 1)
#define VH_RULES_MAX 256u
#define VH_HOLD_MAX_US ((gint64)24 * 3600 * G_USEC_PER_SEC)

/* "pin", "group", "float", "log", "boost", "memory", "near", then NULL. */
extern const char *const vh_action_names[];

/* Where something was written: for people. */
struct vh_origin {
    const char *file; /* interned (g_intern_string) */
    unsigned line;    /* 0: nowhere in particular */
};

struct vh_rule {
    char *name;
    char *on;     /* name of the kind's struct */
    VhWhen *when; /* NULL: always */
    enum vh_action action;
    char *argument; /* a field's path, "" for none; LOG: the text; MEMORY: of the MiB that the guest
                     * can spare; NEAR: perhaps two, the second that of how strongly */
    gint64 hold_us; /* the wish outlives the fact that long; BOOST: it lasts no longer than that */
    gint64 cooldown_us; /* and does not come again before that */
    enum vh_boost_kind boost;
    bool trial;    /* all but FLOAT, LOG: it must prove itself */
    unsigned loss; /* percent of their progress that neighbours may lose by it */
    char *figure;  /* BOOST, MEMORY: a field's path, of a number that is better when lower; NULL:
                      none */
    bool enabled;
    unsigned order; /* among all rules of the policy, as the files have them */
    char *summary;  /* all of it in one line, for people */
    struct vh_origin origin;
};

/* A rule and a kind. Borrows from the rule. */
struct vh_bound_rule {
    const struct vh_rule *rule;
    struct vh_tests tests;
    bool has_target;
    struct vh_fieldref target; /* an integer: a guest CPU's number (GROUP: a mask); INTS: a mask */
    bool has_room, has_strength;
    struct vh_fieldref room;     /* MEMORY */
    struct vh_fieldref strength; /* NEAR: higher is stronger */
    struct vh_fieldref figure;   /* if the rule has one */
};

/* Reads "pin FIELD", "group FIELD", "float [FIELD]", "log TEXT", "boost FIELD [KIND]", "memory
 * [FIELD]" or "near FIELD [FIELD]" into `action` and `argument` (g_free), and `boost`. 0; or -1 and
 * VH_ERROR_INVALID_ARGUMENT. */
int vh_rule_parse_do(const char *text, enum vh_action *action, char **argument,
                     enum vh_boost_kind *boost, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "250ms", "2s", "5m", "1h", or "0", at most VH_HOLD_MAX_US. 0; or -1 and
 * VH_ERROR_INVALID_ARGUMENT. */
int vh_duration_parse(const char *text, gint64 *us, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* 0; or -1 and VH_ERROR_INVALID_ARGUMENT, whose message begins with the key ("when", "do" or
 * "figure") and ": ".
 */
int vh_rule_bind(const struct vh_rule *rule, const struct vh_kind *kind,
                 struct vh_bound_rule *bound, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* LOG: the text with each {FIELD} replaced by its value; g_free() it. */
char *vh_rule_text(const struct vh_rule *rule, const struct vh_kind *kind, const uint8_t *record);

void vh_rule_free(struct vh_rule *rule);
