/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A round's inside, for the files of this folder only. */
#pragma once

#include "act/actuate.h"
#include "machine/hotplug.h"
#include "machine/load.h"
#include "round/offloads.h"
#include "round/ram.h"
#include "round/round.h"
#include "trials/trials.h"
#include "wish/survey.h"

/* The plan that the portraits that are kept show, as far as they do, and the wishes it is for. */
struct vh_gallery {
    uint64_t plans;  /* as vh_round_made has counted it; 0: none yet */
    GArray *first;   /* unsigned */
    GArray *threads; /* struct vh_placed */
    GArray *sets;    /* struct vh_cpuset */
    GArray *begins;  /* guint: where in `wishes` each guest's begin, and where the last one's end */
    GArray *wishes;  /* struct vh_wish, whose rules may be gone */
};

struct VhRound {
    const struct vh_round_host *host;
    const GPtrArray *entries; /* struct vh_entry */
    VhPolicyStore *policy;
    VhSaved *saved;
    VhJournal *journal;
    VhActuate *actuate;
    VhActuate *boosts;
    VhTrials *trials;
    VhRam *ram;
    VhOffloads *offloads; /* NULL: there are none */
    GHashTable *left;     /* guest -> struct vh_left, where a former daemon has left anything */
    guint unboosted;      /* by the last run */
    VhHotplug *hotplug;
    struct vh_topology *topology;
    VhLoad *load;
    VhSurvey *survey;           /* all guests, in the order of entries */
    const struct vh_plan *plan; /* the last one, the survey's; NULL: none */
    struct vh_round_made made;
    GHashTable *names; /* name -> struct vh_entry */
    guint64 last_serial;
    struct vh_gallery gallery;
    GArray *wishes; /* struct vh_wish, scratch of plan */
    GPtrArray *now; /* struct vh_cpuset, scratch of plan */
};

/* What a former daemon has left in a guest's name. */
struct vh_left {
    GPtrArray *slots; /* struct vh_saved_slot; some may not be left any longer */
    bool pins;        /* of vCPUs, not only of threads beside them, which policy alone places */
    struct vh_entry *entry; /* NULL: the guest has not come */
    bool taken;             /* over, or is to be put back: by the next run */
};

/* ---- state.c ---- */

/* Why the vCPU is not ours to place; NULL: it is. */
const char *vh_round_off(const struct vh_entry *entry, const struct vh_vcpu *vcpu);
/* What the target is pinned to by us; NULL: nothing. */
const struct vh_cpuset *vh_round_pin(const VhRound *round, const struct vh_target_key *key);

/* ---- gallery.c ---- */

void vh_gallery_init(struct vh_gallery *gallery);
void vh_gallery_clear(struct vh_gallery *gallery);
/* Drops the portraits of those for whom the last plan has something else. */
void vh_gallery_refresh(VhRound *round);
/* Drops all. */
void vh_gallery_empty(const VhRound *round);
/* For vh_actuate_tell. */
void vh_round_changed(const char *guest, gpointer round);

/* ---- adopt.c ---- */

/* Finds all that is left. */
void vh_round_find_left(VhRound *round);
/* Adds what is left of vCPUs to the survey: of the entry with that number. */
void vh_round_survey_left(VhRound *round, const struct vh_entry *entry, unsigned number);
/* Likewise, of guests that have not come. */
void vh_round_survey_absent(VhRound *round);
/* At the end of a run: puts back what was to be taken over and is nobody's. Returns how many slots.
 */
guint vh_round_taken(VhRound *round);

/* ---- plan.c ---- */

/* Makes the plan for what is wished now. */
const struct vh_plan *vh_round_plan(VhRound *round);
/* Keeps what the plan cannot do for whole guests with them, and tells the journal once. */
void vh_round_note(VhRound *round, const struct vh_plan *made);

/* ---- boost.c ---- */

/* Asks whether what is wished for a vCPU of `entry` may be in force yet, or still. Returns whether
 * a pin may. `planned`: the plan has one. */
bool vh_round_ask(VhRound *round, const struct vh_entry *entry, const struct vh_target *target,
                  const struct vh_wish *wish, bool planned);
/* For struct vh_trials_funcs: boosts what is to be boosted now. */
void vh_round_boost(const char *why, gpointer round);
