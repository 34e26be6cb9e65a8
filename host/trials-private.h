/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What trials.c and trials-describe.c share. */
#pragma once

#include "boost.h"
#include "sample.h"
#include "trials.h"

/* Who wants less than this part of a CPU is taken for one who sleeps. */
#define VH_TRIALS_ASLEEP 50u

/* One action upon one thread. */
struct vh_trials_item {
    char *guest;
    unsigned vcpu;
    pid_t thread;
    enum vh_trials_what what;
    enum vh_boost_kind boost;
    char *rule;
    struct vh_trial trial;
    double figure;
    bool asked, named;       /* in this round */
    char *problem;           /* it could not be applied; NULL: it could */
    bool mild;               /* AUTO: by nice, since real-time was refused */
    struct vh_budget budget; /* BOOST */
    gint64 marked;           /* when `run` was read */
    struct vh_run run;       /* then; ran 0: could not be read */
    GArray *neighbours;      /* struct vh_trials_neighbour; NULL: not found yet */
    gint64 found;            /* when */
    GCancellable *searching; /* NULL: nobody is */
};

struct vh_trials_neighbour {
    pid_t thread;
    struct vh_run run; /* when marked */
};

struct VhTrials {
    char *proc;
    VhJournal *journal;
    const struct vh_trials_funcs *funcs;
    gpointer data;
    GHashTable *items[VH_TRIALS_COUNT]; /* thread -> struct vh_trials_item */
    GSource *timer;                     /* with an absolute time, so that no flood of rounds puts it off */
    bool told_missing;                  /* that there is no schedstat */
    struct vh_budget_limits limits;
    bool warded;
    bool again; /* the timer applies boosts anew */
};

/* All items, of whatever kind: g_ptr_array_unref() the array. */
GPtrArray *vh_trials_list(const VhTrials *trials);
/* NULL: there is none. */
struct vh_trials_item *vh_trials_find(const VhTrials *trials, pid_t thread, enum vh_trials_what what);

/* ---- trials-measure.c ---- */

/* Looks for the item's neighbours, on a thread of its own, unless they are known. */
void vh_trials_search(VhTrials *trials, struct vh_trials_item *item, gint64 now);
/* From here on the next look counts. */
void vh_trials_mark(const VhTrials *trials, struct vh_trials_item *item);
/* The thread alone, without its neighbours. */
void vh_trials_mark_own(const VhTrials *trials, struct vh_trials_item *item);
/* The share of its wanted time that it waited since; NAN: not known. */
double vh_trials_look_wait(const VhTrials *trials, const struct vh_trials_item *item);
/* What was between mark and now. */
struct vh_trial_sample vh_trials_look(const VhTrials *trials, const struct vh_trials_item *item);
