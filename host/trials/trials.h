/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All actions that are, or were, on trial: leads each through decide/trial.h's states, measures,
 * and keeps boosts within their budgets.
 *
 * A round says which actions are asked for; what is not is dropped, and a thread that a round does
 * not name is forgotten. There is a timer only while something is measured, ends by itself or has a
 * budget: an idle host, and one with proven or unmeasured pins only, has none. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "base/target.h"
#include "decide/boost.h"
#include "decide/trial.h"
#include "io/journal.h"

typedef struct VhTrials VhTrials;

enum vh_trials_what { VH_TRIALS_PIN, VH_TRIALS_BOOST, VH_TRIALS_COUNT };

struct vh_trials_funcs {
    /* Pins may be in force, or not, that were not, or were: plan anew. */
    void (*replan)(const char *why, gpointer data);
    /* So may boosts. `why` NULL: a budget only, not worth a line in the journal. */
    void (*boost)(const char *why, gpointer data);
};

/* `proc` is /proc but for tests. All are borrowed. */
VhTrials *vh_trials_new(const char *proc, VhJournal *journal, const struct vh_trials_funcs *funcs,
                        gpointer data);
void vh_trials_free(VhTrials *trials);

/* From now on boosts keep to these; `warded`: real-time ones are none of ours, the warden sees to
 * them. */
void vh_trials_limit(VhTrials *trials, const struct vh_budget_limits *limits, bool warded);

struct vh_trials_ask {
    enum vh_trials_what what;
    enum vh_boost_kind boost; /* BOOST */
    const char *rule;         /* copied */
    struct vh_trial_options options;
    double figure;        /* the guest's; NAN: none */
    const char *unsteady; /* why what is measured now is void, static; NULL: it is not */
    bool found;           /* by a former daemon it is in force: it goes on without a verdict */
};

void vh_trials_begin(VhTrials *trials);
/* The thread is there. Before any ask for it. */
void vh_trials_name(VhTrials *trials, const struct vh_target *target);
/* May it be in force now? */
bool vh_trials_ask(VhTrials *trials, const struct vh_target *target,
                   const struct vh_trials_ask *ask);
/* `why`: the occasion. */
void vh_trials_end(VhTrials *trials, const char *why);

/* Calls `func` for each boost that is to be in force. */
typedef void (*VhTrialsBoostFunc)(const struct vh_target *target, enum vh_boost_kind boost,
                                  gpointer data);
void vh_trials_boosts(VhTrials *trials, VhTrialsBoostFunc func, gpointer data);
/* How the last attempt went: `problem` "" for well. A boost that cannot be is not measured. */
void vh_trials_tell(VhTrials *trials, pid_t thread, enum vh_trials_what what, const char *problem);
/* Who asks for the boost, for the journal; g_free() it. */
char *vh_trials_reason(const VhTrials *trials, pid_t thread, enum vh_trials_what what);

/* What is being measured is void, of one guest or (NULL) of all. `why` is static. */
void vh_trials_interrupt(VhTrials *trials, const char *guest, const char *why);

/* Explain's aa{sv}, floating: the actions of one guest, by vCPU. */
GVariant *vh_trials_describe(const VhTrials *trials, const char *guest);
