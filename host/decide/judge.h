/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether an action was worth it, by two series of samples: one without it, one with it. Pure. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VH_TRIAL_SAMPLES 12u /* of one window */
#define VH_TRIAL_ENOUGH 7u   /* that have a value, for a verdict */

/* What one look says. A share is of the time a thread wanted to run: 0 never waited, 1 only waited.
 * NAN: not known, because it did not want to run or could not be looked at. */
struct vh_trial_sample {
    double wait;       /* of the action's threads */
    double neighbours; /* of the busiest other threads */
    double load;       /* threads of the host that are runnable: what the action cannot change */
    double figure;     /* the guest's own, lower is better: it can only speak against the action */
};

struct vh_trial_series {
    unsigned count;
    struct vh_trial_sample samples[VH_TRIAL_SAMPLES];
};

enum vh_trial_verdict {
    VH_TRIAL_NONE,
    VH_TRIAL_KEPT,
    VH_TRIAL_REVERTED,
    VH_TRIAL_INCONCLUSIVE,
    VH_TRIAL_VERDICTS
};
/* "", "kept", "reverted", "inconclusive" */
const char *vh_trial_verdict_text(enum vh_trial_verdict verdict);

/* Medians, of neighbours means; NAN where there are none. */
struct vh_trial_result {
    enum vh_trial_verdict verdict;
    const char *reason;          /* static */
    double before, after, noise; /* wait; what of a difference may be chance */
    double neighbours_before, neighbours_after;
    double load_before, load_after;
    double figure_before, figure_after;
};

/* `loss`: percent of their progress that neighbours may lose. */
struct vh_trial_result vh_trial_judge(const struct vh_trial_series *before,
                                      const struct vh_trial_series *after, unsigned loss);
/* Does who waits so little have nothing to gain? A share; NAN, which is one that did not want to
 * run, has not. */
bool vh_trial_is_calm(double wait);
/* "waits 62.0% -> 3.1% (noise 2.0%), neighbours 40.0% -> 61.2%, load 6 -> 6". g_free() it. */
char *vh_trial_numbers(const struct vh_trial_result *result);
