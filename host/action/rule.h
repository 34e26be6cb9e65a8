/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy's rule as a value: on a kind of hint, when a condition holds, do an action.
 * policy/rule.h reads it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct vh_action;             /* action/action.h */
typedef struct VhWhen VhWhen; /* policy/when.h */

/* Where something was written: for people. */
struct vh_origin {
    const char *file; /* interned (g_intern_string) */
    unsigned line;    /* 0: nowhere in particular */
};

/* What `do` says. The words behind the action's name are the action's own: it has read them, and
 * nobody reads them again. */
struct vh_do {
    const struct vh_action *action;
    char *first;  /* most often a field's path; "" for none. Owned */
    char *second; /* NULL: there is none. Owned */
    int how;      /* a value of an enum of the action's own */
};

struct vh_rule {
    char *name;
    char *program; /* which it is about, as its manifest calls it */
    char *kind;    /* of its hints: name of the struct */
    bool bare;     /* the files say the kind alone */
    VhWhen *when;  /* NULL: always */
    struct vh_do what;
    gint64 hold_us;     /* the wish outlives the fact that long; VH_ACTION_BRIEF: it lasts no longer
                           than that */
    gint64 cooldown_us; /* and does not come again before that */
    bool trial;         /* it must prove itself */
    unsigned loss;      /* percent of their progress that neighbours may lose by it */
    char *figure;       /* a field's path, of a number that is better when lower; NULL: none */
    bool enabled;
    unsigned order; /* among all rules of the policy, as the files have them */
    char *summary;  /* all of it in one line, for people */
    struct vh_origin origin;
};
