/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The trials' inside, for the files of this folder only. */
#pragma once

#include "decide/boost.h"
#include "machine/meter.h"
#include "trials/crowd.h"
#include "trials/trials.h"

/* Who wants less than this part of a CPU is taken for one who sleeps. */
#define VH_TRIALS_ASLEEP 50u

/* One action upon one thread. */
struct vh_trials_item {
    char *guest;
    unsigned vcpu;
    struct vh_thread_id on;
    enum vh_trials_what what;
    enum vh_boost_kind boost;
    char *rule;
    struct vh_trial trial;
    double figure;
    const char *unsteady;    /* why a sample would say nothing; NULL: it says something */
    bool asked, named;       /* in this round */
    char *problem;           /* it could not be applied; NULL: it could */
    char *refused;           /* AUTO: by nice, since real-time was, and why; NULL: it was not */
    struct vh_budget budget; /* BOOST */
    struct vh_meter meter;   /* of that */
    gint64 marked;           /* when `run` was read */
    struct vh_run run;       /* then; ran 0: could not be read */
    gint64 looked;           /* when `seen` was read, which was for a look */
    struct vh_run seen;
    GArray *neighbours; /* struct vh_trials_neighbour; NULL: not known yet */
    gint64 met;         /* when they were chosen */
};

struct vh_trials_neighbour {
    pid_t thread;
    struct vh_crowd_reading then; /* when marked */
};

struct VhTrials {
    char *proc;
    VhCrowd *crowd;
    VhJournal *journal;
    const struct vh_trials_funcs *funcs;
    gpointer data;
    GHashTable *items[VH_TRIALS_COUNT]; /* thread -> struct vh_trials_item */
    GSource *timer;    /* with an absolute time, so that no flood of rounds puts it off */
    bool told_missing; /* that there is no schedstat */
    struct vh_budget_limits limits;
    gint64 spent; /* budgets are not looked at before this time */
    bool warded;
    bool again;    /* the timer applies boosts anew */
    gint64 seen;   /* when it last did because threads may have left what is boosted */
    gint64 turned; /* when looks were last taken */
    guint first;   /* whose turn it is: a place in the list of items */
};

/* NULL: there is none. */
static inline struct vh_trials_item *vh_trials_find(const VhTrials *trials, pid_t thread,
                                                    enum vh_trials_what what)
{
    return g_hash_table_lookup(trials->items[what], GINT_TO_POINTER(thread));
}

/* All items, of whatever kind: g_ptr_array_unref() the array. */
GPtrArray *vh_trials_list(const VhTrials *trials);

/* ---- budget.c ---- */

/* What the boost is, or would be now: AUTO has been decided. */
enum vh_boost_kind vh_trials_kind(const struct vh_trials_item *item);
/* Looks at all boosts, unless that was a moment ago. Returns when to again; -1: never. */
gint64 vh_trials_spend(VhTrials *trials, gint64 now);
/* Ends what that has begun for the item. */
void vh_trials_forget_budget(struct vh_trials_item *item);

/* ---- measure.c ---- */

/* Chooses the item's neighbours, as soon as it is known who is busy: the same from a trial's first
 * look to its last. */
void vh_trials_meet(const VhTrials *trials, struct vh_trials_item *item, gint64 now);
/* From here on the next look counts. */
void vh_trials_mark(const VhTrials *trials, struct vh_trials_item *item);
/* The thread alone, without its neighbours. */
void vh_trials_mark_own(const VhTrials *trials, struct vh_trials_item *item);
/* The share of its wanted time that it waited since; NAN: not known. */
double vh_trials_look_wait(const VhTrials *trials, struct vh_trials_item *item, gint64 now);
/* What was between mark and now. */
struct vh_trial_sample vh_trials_look(const VhTrials *trials, struct vh_trials_item *item,
                                      gint64 now);
