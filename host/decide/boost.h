/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a boost goes, and when it may not be: values and decisions, without I/O. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* How a boosted thread is favoured. */
enum vh_boost_kind {
    VH_BOOST_NICE,
    VH_BOOST_RR,
    VH_BOOST_WEIGHT,
    VH_BOOST_UCLAMP,
    VH_BOOST_AUTO, /* of a rule only: RR, or NICE where that is refused */
    VH_BOOST_COUNT
};
extern const char *const vh_boost_names[]; /* "nice", "rr", "weight", "uclamp", "auto", then NULL */

/* It always ends: a rule's hold is at most this, its cooldown at least that. */
#define VH_BOOST_HOLD_MAX_US ((gint64)60 * G_USEC_PER_SEC)
#define VH_BOOST_HOLD_US ((gint64)10 * G_USEC_PER_SEC)
#define VH_BOOST_REST_MIN_US ((gint64)100000)
#define VH_BOOST_REST_US ((gint64)G_USEC_PER_SEC)

/* Below -20, which the kernel gives its own urgent workers; 28 times the weight of nice 0. */
#define VH_BOOST_NICE_VALUE (-15)
#define VH_BOOST_CLAMP_MAX 1024u
#define VH_BOOST_WEIGHT_FACTOR 28u

/* Real-time threads at one time. Each more makes the looks at all rarer, and what is used in
 * between beyond a budget is more. */
#define VH_BOOST_RR_MAX 1024u

/* Why one more thread must not be real-time; NULL: it may. `runtime`: the text of
 * sched_rt_runtime_us, NULL if it could not be read; `count`: threads that are real-time by us
 * already; `own`: host CPUs that vhintd may run on; `warded`: the warden (act/warden.h) keeps them
 * within their budgets, whatever becomes of vhintd. */
const char *vh_boost_refuse_rr(const char *runtime, unsigned count, unsigned own, bool warded);

/* ---- the budget ----
 *
 * In each period a boosted thread may use `share` of one CPU's time, and all boosted threads that
 * run on one host CPU together as much; what is over waits for the next period unboosted. Periods
 * are the same for all: they begin when the clock is a multiple of them. The caller looks again
 * when the first of them could have used up what is left, or later. What was used beyond the budget
 * until then is owed: it counts in the next period, and those that follow. So over time the budget
 * holds, however late the looks are. */

struct vh_budget_limits {
    unsigned share; /* percent */
    gint64 period_us;
};
#define VH_BUDGET_SHARE 70u
#define VH_BUDGET_SHARE_MIN 10u
/* With the tenth that vhintd may use below the 95% at which the kernel throttles real-time threads.
 */
#define VH_BUDGET_SHARE_MAX 80u
#define VH_BUDGET_PERIOD_US 50000
#define VH_BUDGET_PERIOD_MIN_US 10000
#define VH_BUDGET_PERIOD_MAX_US 1000000
/* A look costs a microsecond or some for each thread. So there are so many in a period at most, and
 * whoever looks rests for so many times as long as he took: 1.5% of a CPU at most. */
#define VH_BUDGET_LOOKS 20
#define VH_BUDGET_REST 64

#define VH_BUDGET_CPUS 4096 /* more than any host has; one beyond is as one that is not known */

struct vh_budget {
    gint64 period;   /* that it is in, by number; 0: none yet */
    gint64 length;   /* of that, in us: when policy changes it, all begins anew */
    guint64 at;      /* the thread's CPU time when it began, less what it owes, in ns */
    guint64 time;    /* when it was looked at last, in ns */
    guint64 used_ns; /* boosted: in the period, and owed */
    int cpu;         /* it was last seen on; -1: not known */
    bool spent;      /* no boost for the rest of the period */
};

/* The thread's CPU time is `time_ns` now. */
void vh_budget_look(struct vh_budget *budget, guint64 time_ns, int cpu,
                    const struct vh_budget_limits *limits, gint64 now);
/* The thread was spent, and has just been paused. The kernel counts a running thread's time by the
 * tick, and exactly when its policy is set: what it used until then was boosted. */
void vh_budget_pause(struct vh_budget *budget, guint64 time_ns);
/* It has just been boosted again, in a period that has begun: what it used since the look was not.
 */
void vh_budget_resume(struct vh_budget *budget, guint64 time_ns);
/* All `count` budgets have been looked at: says which are spent, and whose period is over. Returns
 * when to look again; -1: never. */
gint64 vh_budget_settle(struct vh_budget *const *budgets, unsigned count,
                        const struct vh_budget_limits *limits, gint64 now);
