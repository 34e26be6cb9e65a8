/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a VhActuate, for actuate.c, recover.c and describe.c only. */
#pragma once

#include "act/actuate.h"

/* One thread. */
struct item {
    char *guest;
    unsigned vcpu; /* as vh_target's */
    pid_t thread;
    VhHold *hold;         /* NULL: probing failed */
    bool starved;         /* for want of a descriptor */
    bool applied;         /* `set` is in force */
    gint64 since;         /* applied: monotonic time, us */
    union vh_setting set; /* in force, or tried and failed */
    bool failed;          /* `set` could not be applied */
    bool barred;          /* by the thread's control group */
    bool drifted;         /* somebody else has changed what we applied */
    gint64 looked;        /* whether the thread has left it */
    char *problem;        /* of the last failure */
    bool named;           /* in this round */
    bool wanted;          /* in this round, with `wish` */
    const char *why;      /* of this round; NULL: as all */
    union vh_setting wish;
    unsigned plan_guest, plan_vcpu;
};

struct VhActuate {
    VhSaved *saved;
    VhJournal *journal;
    const struct vh_actuator *actuator;
    GHashTable *items;      /* thread -> struct item */
    bool in_round;          /* between begin and end */
    bool out;               /* of descriptors, in this round */
    VhActuateReason reason; /* of this round */
    gpointer reason_data;
    const char *why; /* of the wishes that follow */
};

/* NULL: it is not known. */
static inline struct item *vh_actuate_find(const VhActuate *actuate, pid_t thread)
{
    return g_hash_table_lookup(actuate->items, GINT_TO_POINTER(thread));
}

/* actuate.c */
void vh_actuate_item_free(gpointer item);
/* For the journal: `verb` "un" or "". g_free() it. */
char *vh_actuate_step_name(const VhActuate *actuate, const char *verb, unsigned vcpu, pid_t thread);
