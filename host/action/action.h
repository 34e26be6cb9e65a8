/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every action is: a word that a rule may have behind `do`, and what becomes of it on the way
 * from the policy's text to a guest's wishes.
 *
 * An action is one file, with one row of the table in table.c. Nobody else names it: policy/ parses
 * and binds by its row, wish/ asks and adds by it, round/ and guest/ tell by it. What acts on the
 * host is an actuator (act/actuator.h), which several actions may share.
 *
 * The way of one action:
 *
 *   the policy is read      parse, once; check, once all of the rule is known
 *   a kind of hint is met   bind, once for each rule and kind
 *   a record                its condition is judged once (wish/rules.h). Then, whenever wishes are
 *                           made: note; and if the condition holds, ask, then add
 *   all are added           end
 *   people ask              explain
 */
#pragma once

#include "action/sum.h"
#include "hint/field.h"

/* What else a rule with this action may say, and what follows. */
enum vh_action_trait {
    VH_ACTION_TRIES = 1u << 0,  /* it can be on trial */
    VH_ACTION_TRIED = 1u << 1,  /* and is, unless the rule says otherwise */
    VH_ACTION_KEPT = 1u << 2,   /* a trial that finds nothing keeps it */
    VH_ACTION_LOSS = 1u << 3,   /* it has a max-loss */
    VH_ACTION_FIGURE = 1u << 4, /* it has a figure */
    VH_ACTION_WHOLE = 1u << 5,  /* without a guest CPU it is about the whole guest */
    VH_ACTION_SINGLE = 1u << 6, /* it is about one guest CPU, never several */
    VH_ACTION_BRIEF = 1u << 7,  /* it ends with its fact at the latest; its trial keeps to its hold
                                   and cooldown */
};

/* A rule's words, bound to a kind. */
struct vh_bound_do {
    bool has_first, has_second;
    struct vh_fieldref first, second;
};

struct vh_action {
    const char *name;
    const char *words; /* what follows the name: "FIELD [KIND]"; in brackets: it may be left out */
    const char *actuator;        /* name of the one that carries it out; NULL: none does */
    unsigned traits;             /* of enum vh_action_trait */
    gint64 hold_us, cooldown_us; /* unless the rule says otherwise */

    /* Reads the words, without spaces at both ends, into `what`. 0, or -1 and
     * VH_ERROR_INVALID_ARGUMENT. */
    int (*parse)(const char *words, struct vh_do *what, GError **error);
    /* All of the rule is read: the first thing that does not suit the action, of which `*key` is
     * told. NULL: all does. */
    int (*check)(const struct vh_rule *rule, const char **key, GError **error);
    /* 0; or -1 and VH_ERROR_INVALID_ARGUMENT, when the kind has no such field, or one of another
     * type. */
    int (*bind)(const struct vh_do *what, const struct vh_kind *kind, struct vh_bound_do *bound,
                GError **error);

    /* The guest CPUs that a record asks for; it is asked only if the condition holds. NULL: none.
     */
    enum vh_verdict (*ask)(const struct vh_bound_do *bound, const uint8_t *record,
                           const struct vh_cpu_map *map, struct vh_mask *mask);
    /* A fact that the rule is about, whether the condition holds or not. NULL: only those count
     * whose condition holds. */
    void (*note)(struct vh_sum *sum, const struct vh_rule *rule, const struct vh_bound_do *bound,
                 const uint8_t *record);
    /* What is asked for, into the sum. NULL: nothing is wished. */
    void (*add)(struct vh_sum *sum, const struct vh_ask *ask);
    /* All is added, by all actions; the table's order counts. NULL: nothing is left to do. */
    void (*end)(struct vh_sum *sum);

    /* Of an action without add: a line for the journal about a record. g_free() it. */
    char *(*say)(const struct vh_do *what, const struct vh_kind *kind, const uint8_t *record);
    /* What a rule of this action has made of a vCPU's wish, for people: "2 hints pin guest CPU 3".
     * g_free() it. NULL: it makes nothing of it. */
    char *(*explain)(const struct vh_wish *wish);
};

/* ---- table.c ---- */

/* Then NULL. */
extern const struct vh_action *const vh_actions[];

extern const struct vh_action vh_action_pin, vh_action_group, vh_action_near, vh_action_float,
    vh_action_boost, vh_action_memory, vh_action_log;

/* ---- action.c ---- */

/* A set of actions has a bit for each. */
unsigned vh_action_bit(const struct vh_action *action);
unsigned vh_actions_all(void);

/* All their names and, behind these, the NULL-terminated `more`; g_free() the array alone. */
const char **vh_action_names(const char *const *more);
/* The names of those with a trait: "pin, group and near". g_free() it. */
char *vh_actions_with(enum vh_action_trait trait);

/* Reads what stands behind `do`: `what` is made, to be cleared. 0, or -1 and
 * VH_ERROR_INVALID_ARGUMENT. */
int vh_do_parse(const char *text, struct vh_do *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_do_clear(struct vh_do *what);

/* All is added: fills the wishes. Of anchors, `most` are granted, as vh_sum_limit says. */
void vh_actions_end(struct vh_sum *sum, unsigned most, struct vh_mask *anchored);
