/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a VhActuate, for actuate.c, items.c, recover.c and describe.c only. */
#pragma once

#include "act/actuate.h"

/* One target. */
struct item {
    struct vh_target target; /* its key's guest is the item's own */
    VhHold *hold;            /* NULL: probing failed */
    bool starved;            /* for want of a descriptor */
    bool applied;            /* `set` is in force */
    gint64 since;            /* applied: monotonic time, us */
    union vh_setting set;    /* in force, or tried and failed */
    bool failed;             /* `set` could not be applied */
    bool barred;             /* by the thread's control group */
    bool drifted;            /* somebody else has changed what we applied */
    gint64 looked;           /* whether the thread has left it */
    char *problem;           /* of the last failure */
    GRefString *former; /* the hold's former state in words, as long as `set` is in force; NULL: not
                           asked for yet */
    bool named;         /* in this round */
    bool wanted;        /* in this round, with `wish` */
    const char *why;    /* of this round; NULL: as all */
    union vh_setting wish;
    gconstpointer cause; /* of `wish` */
};

struct VhActuate {
    VhSaved *saved;
    VhJournal *journal;
    const struct vh_actuator *actuator;
    GHashTable *items;    /* key -> struct item */
    GHashTable *things;   /* thread, or device -> struct item that was the last to have it */
    GPtrArray *displaced; /* struct item whose key has another thread, in this round */
    bool in_round;        /* between begin and end */
    bool out;             /* of descriptors, in this round */
    void (*tell)(const char *guest, gpointer data); /* NULL: nobody wants to know */
    gpointer tell_data;
    VhActuateReason reason; /* of this round */
    gpointer reason_data;
    const char *why; /* of the wishes that follow */
};

/* ---- items.c ---- */

void vh_items_free(gpointer item);
/* What it had before, in words; "": nothing has been changed. Borrowed until that changes. */
const char *vh_items_former(const VhActuate *actuate, struct item *item);
/* It has been changed, or put back. */
void vh_items_forget_former(struct item *item);
/* What people are told of it may have changed. */
void vh_items_changed(const VhActuate *actuate, const struct item *item);
/* NULL: it is not known. */
struct item *vh_items_find(const VhActuate *actuate, const struct vh_target_key *key);
/* The item of what `target` is done to, which has its key from now on. NULL: there is none, nor any
 * with that key. */
struct item *vh_items_claim(VhActuate *actuate, const struct vh_target *target);
/* Another one. */
struct item *vh_items_add(VhActuate *actuate, const struct vh_target *target);
/* Ends its hold; nothing is put back. */
void vh_items_let_go(VhActuate *actuate, struct item *item);
/* The same, and the item. */
void vh_items_remove(VhActuate *actuate, struct item *item);

/* ---- actuate.c ---- */

/* New, without any item. */
VhActuate *vh_actuate_make(VhSaved *saved, VhJournal *journal, const struct vh_actuator *actuator);
/* After the last one has ended. */
void vh_actuate_dispose(VhActuate *actuate);
/* For the journal: `verb` "un" or "". g_free() it. */
char *vh_actuate_step_name(const VhActuate *actuate, const char *verb,
                           const struct vh_target_key *key);
