/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One action on trial: measured without it, then with it, then kept or taken back. Pure: the caller
 * samples and says what time it is.
 *
 *     OFF --want--> BASELINE --enough samples--> WINDOW --verdict--> KEPT | OPEN | BARRED
 *     KEPT, OPEN --hold is over--> RESTING
 *     RESTING --rest is over--> BASELINE, or KEPT again while a verdict is fresh
 *     BARRED --back-off is over--> BASELINE
 *     any --not wanted--> OFF
 *
 * A BASELINE that hardly waits, or hardly runs, ends in a verdict at once: an action that is kept
 * only if it helps is not taken where there is nothing to gain. It is BARRED then and watched: one
 * look each VH_TRIAL_WATCH_US, fewer while it sleeps, until it waits.
 *
 * The action is in force in WINDOW, KEPT and OPEN. A short ask does not lose its samples: the next
 * one within VH_TRIAL_AGE_US goes on. What was found lasts over asks: a kept action comes at once
 * for VH_TRIAL_TRUST_US, and a reverted one not before its back-off is over, which doubles each
 * time. */
#pragma once

#include "decide/judge.h"

#define VH_TRIAL_SAMPLE_US ((gint64)50000)     /* between samples, unless the options say so */
#define VH_TRIAL_PATIENCE 5                    /* windows: for the samples of one, of wanted time */
#define VH_TRIAL_AGE_US 30000000               /* a baseline older than this is worth nothing */
#define VH_TRIAL_TRUST_US 60000000             /* of a kept verdict */
#define VH_TRIAL_BACKOFF_US ((gint64)30000000) /* after the first revert */
#define VH_TRIAL_BACKOFF_MAX 7u                /* doublings: about an hour */
#define VH_TRIAL_RETRY_US \
    ((gint64)5000000)         /* after the first inconclusive window; doubles, too, up to */
#define VH_TRIAL_RETRY_MAX 4u /* doublings */
#define VH_TRIAL_WATCH_US \
    ((gint64)1000000)         /* between looks at whether there is anything to gain by now */
#define VH_TRIAL_WATCH_MAX 5u /* doublings of that, while the thread does not run */
#define VH_TRIAL_LOSS 75u     /* percent of their progress that neighbours may lose */

struct vh_trial_options {
    bool on;            /* false: the action is taken at once, unmeasured */
    bool keep_unproven; /* an inconclusive window leaves the action in force */
    gint64 hold_us;     /* it ends that long after it began; 0: not by itself */
    gint64 rest_us;     /* and does not come again before that */
    unsigned loss;      /* as of vh_trial_judge */
    gint64 sample_us;   /* between samples; 0: VH_TRIAL_SAMPLE_US */
};

enum vh_trial_state {
    VH_TRIAL_OFF,
    VH_TRIAL_BASELINE,
    VH_TRIAL_WINDOW,
    VH_TRIAL_PROVEN,
    VH_TRIAL_OPEN, /* in force without a verdict */
    VH_TRIAL_RESTING,
    VH_TRIAL_BARRED,
    VH_TRIAL_STATES
};
const char *vh_trial_state_text(enum vh_trial_state state);

struct vh_trial {
    struct vh_trial_options options;
    enum vh_trial_state state;
    struct vh_trial_series before, after;
    struct vh_trial_result result; /* the last */
    gint64 began;                  /* BASELINE, WINDOW: this stretch of wanted time */
    gint64 spent_us;               /* wanted time in former stretches of this window */
    gint64 sampled;                /* the last sample */
    gint64 force;                  /* in force since; 0: not, so no clock begins there */
    gint64 rest_until, bar_until, trust_until;
    unsigned reverts, retries; /* doublings of the back-off */
    bool watched;              /* BARRED: because there was nothing to gain */
};

gint64 vh_trial_sample_us(const struct vh_trial *trial);

/* The action is wanted, from now on or still. */
void vh_trial_want(struct vh_trial *trial, const struct vh_trial_options *options, gint64 now);
/* It is wanted, and in force already, by somebody whose measurements are not known. */
void vh_trial_find(struct vh_trial *trial, const struct vh_trial_options *options, gint64 now);
/* It is not any longer. */
void vh_trial_drop(struct vh_trial *trial, gint64 now);
/* Are samples of use now? */
bool vh_trial_is_measuring(const struct vh_trial *trial);
/* Is its wait since `sampled` to be looked at, once bar_until is over? */
bool vh_trial_is_watched(const struct vh_trial *trial);
/* That look; a share. */
void vh_trial_watch(struct vh_trial *trial, double wait, gint64 now);
/* One look at the time since the last one, or since the stretch began. Returns whether there is a
 * new verdict. */
bool vh_trial_take(struct vh_trial *trial, const struct vh_trial_sample *sample, gint64 now);
/* What the clock alone changes. Returns whether there is a new verdict. */
bool vh_trial_tick(struct vh_trial *trial, gint64 now);
/* What was measured is void, and why (static). Returns whether there was anything, which is a
 * verdict then. */
bool vh_trial_interrupt(struct vh_trial *trial, const char *why, gint64 now);
/* It cannot be measured, and why (static): a verdict, inconclusive. */
void vh_trial_give_up(struct vh_trial *trial, const char *why, gint64 now);
bool vh_trial_in_force(const struct vh_trial *trial);
/* When to sample or tick next; -1: never. */
gint64 vh_trial_next(const struct vh_trial *trial);
