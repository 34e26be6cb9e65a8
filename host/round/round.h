/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One round: from all guests' wishes to the plan to the host's threads, and what is asked of that
 * afterwards.
 *
 * One thread, like the manager. A round waits for nobody and may be called as often as anything
 * changes; what is as it should be already costs a comparison. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "act/actuator.h"
#include "act/saved.h"
#include "inventory/seat.h"
#include "io/journal.h"
#include "machine/topology.h"
#include "policy/store.h"
#include "round/entry.h"
#include "round/offloads.h"
#include "round/portrait.h"

typedef struct VhRound VhRound;

/* What a round acts by, and where it looks. */
struct vh_round_host {
    const struct vh_actuator *pin, *boost;
    struct vh_topology *(*topology)(GError **error);
    const char *proc; /* /proc but for tests */
};
/* This machine. */
extern const struct vh_round_host vh_round_this_host;

/* Reads the topology of `host` and puts back what a former daemon left changed, but for pins: those
 * stay as they are, guest by guest, until they are taken over. `host`, `entries` (of struct
 * vh_entry), `policy`, `saved` and `journal` are borrowed and must outlive the round. */
VhRound *vh_round_new(const struct vh_round_host *host, const GPtrArray *entries,
                      VhPolicyStore *policy, VhSaved *saved, VhJournal *journal,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* From now on runs lead these, too (borrowed); NULL: there are none. */
void vh_round_set_offloads(VhRound *round, VhOffloads *offloads);

/* Is anything still as a former daemon left it? */
bool vh_round_is_adopting(const VhRound *round);
/* The guest is new among the entries: finds what is left of its. Until that is taken over, runs
 * touch none of its threads, and plan around its pins. */
void vh_round_come(VhRound *round, struct vh_entry *entry);
/* The one that goes by this name; NULL: none has come. */
struct vh_entry *vh_round_find(const VhRound *round, const char *name);
/* It goes, and no run has to do with it any longer. */
void vh_round_forget(VhRound *round, const struct vh_entry *entry);
/* Has what is left of its still to be taken over? */
bool vh_round_is_left(const struct vh_entry *entry);
/* May it be, since the guest has said what holds? */
bool vh_round_knows(const struct vh_entry *entry);
/* The next run takes over what is left of its: what is wanted still stays as it is, the rest is put
 * back. */
void vh_round_take(VhRound *round, struct vh_entry *entry);
/* The next run puts back what is left of guests that have not come. The journal is told `why`;
 * NULL: it is not. */
void vh_round_take_absent(VhRound *round, const char *why);

/* Puts every former state back; guests' memory is asked for and not waited for. The guests are
 * still there. */
void vh_round_undo(VhRound *round, const char *why);
/* In its stead: leaves pins and memory to the next daemon, puts boosts back. */
void vh_round_leave_all(VhRound *round, const char *why);
/* After one of these. NULL is fine. */
void vh_round_free(VhRound *round);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhRound, vh_round_free)

/* Makes the host's threads what the guests' wishes ask for, because of each guest's `why` and, for
 * those that have none, `why`. Returns how many actions were undone. */
guint vh_round_run(VhRound *round, const char *why);

/* Undoes all for a guest that is about to leave, and forgets it; vh_round_run once it has left. */
void vh_round_leave(VhRound *round, struct vh_entry *entry, const char *why);

/* Forgets what stands against an action, so that the next run tries it again. */
void vh_round_forgive(VhRound *round);
/* Puts right what the guest's maker has changed meanwhile, because of `why`. */
void vh_round_recheck(VhRound *round, const struct vh_entry *entry, const char *why);
/* Takes what the seat's thread may use for somebody else's, without putting the former back. */
void vh_round_yield(VhRound *round, const struct vh_entry *entry, struct vh_seat seat);
/* Does the control group bar any thread of this guest from its pin? */
bool vh_round_is_barred(const VhRound *round, const struct vh_entry *entry);

/* The plans made so far, and the CPU time that making them took. */
struct vh_round_made {
    uint64_t plans, ns;
};
struct vh_round_made vh_round_made(const VhRound *round);

/* How many of the guest's vCPUs are held to CPUs by us. */
unsigned vh_round_pinned(const VhRound *round, const struct vh_entry *entry);

/* The plan's texts borrow from the policy: it is about to change. Until the next run, which the
 * caller sees to, there is none. */
void vh_round_outdate(VhRound *round);

/* ---- for people ----
 *
 * Asking only reads: these tell of the last run's plan and wishes, and change nothing. */

/* What GetGuest tells of the guest; vh_portrait_unref() it. */
VhPortrait *vh_round_portray(const VhRound *round, const struct vh_entry *entry);
/* The same, or the one of last time if that is like it: for whoever asks about many. */
VhPortrait *vh_round_show(VhRound *round, struct vh_entry *entry);
/* The same, or without its threads and memory: what ListGuests tells. */
VhPortrait *vh_round_show_brief(const struct vh_entry *entry);
/* Explain's aa{sv}, floating: of each vCPU its pin, then its boost; other threads; memory last. Of
 * each action the hints, the rule and the limits behind it, what it replaced, since when, and what
 * its trial found. */
GVariant *vh_round_explain(const VhRound *round, const struct vh_entry *entry);
