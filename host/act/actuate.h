/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the host look like the plan: applies what is new, changes what moved, reverts what the plan
 * no longer has.
 *
 * A round names every target under management with what it is to have. One that a round leaves out
 * is reverted and forgotten. If a key comes with another thread than before, what its former one
 * has is reverted; if a thread comes with another key, it keeps what it has. A thread that appears
 * while others of its guest are changed, and has just what is in force there, was made by one of
 * those and has inherited it: it is reverted to what that one was. What failed is not tried again
 * until its thread, its place or the host's CPUs have changed.
 *
 * A round is: begin, then want for each target, each followed by assume where that is known, with
 * because before those wants that have an occasion of their own; then end. What changes threads
 * beside that (take_over, put_back, adopted, forgive, check, yield, leave, free) comes between two
 * rounds; what only asks may come at any time. actuator.h shows what becomes of each thread. */
#pragma once

#include "act/actuator.h"
#include "io/journal.h"

typedef struct VhActuate VhActuate;

/* Puts back what a dead daemon left applied in `saved`. All are borrowed. */
VhActuate *vh_actuate_new(VhSaved *saved, VhJournal *journal, const struct vh_actuator *actuator);
/* Leaves it as it is, but for threads that inherited it. */
VhActuate *vh_actuate_new_adopting(VhSaved *saved, VhJournal *journal,
                                   const struct vh_actuator *actuator);
/* Before a thread is wanted for the first time: takes over what is left for it, if anything is. */
void vh_actuate_take_over(VhActuate *actuate, const struct vh_target *target);
/* Is anything left for it, as it was? */
bool vh_actuate_is_left(const VhActuate *actuate, const struct vh_target *target);
/* Puts back what is left in a slot; returns false if it is not left any longer. */
bool vh_actuate_put_back(VhActuate *actuate, struct vh_saved_slot *slot);
/* Puts back all that is still left. */
void vh_actuate_adopted(VhActuate *actuate);

/* Reverts everything, saying `why`, and ends. */
void vh_actuate_free(VhActuate *actuate, const char *why);
/* Ends; what is in force stays so, on record for the next daemon. Only for actuators with leave. */
void vh_actuate_leave(VhActuate *actuate);

/* From now on `func` is called with a guest's name (borrowed) whenever what is asked below may have
 * become another answer for one of its targets. In the midst of other calls: it may only note it.
 */
void vh_actuate_tell(VhActuate *actuate, void (*func)(const char *guest, gpointer data),
                     gpointer data);

/* The reason for what a target gets: `cause` as given to vh_actuate_want. g_free() it. */
typedef char *(*VhActuateReason)(const struct vh_target *target, gconstpointer cause,
                                 gpointer data);

/* `reason` is asked for each action that is taken until vh_actuate_end. */
void vh_actuate_begin(VhActuate *actuate, VhActuateReason reason, gpointer data);
/* `setting` (copied) NULL: the target is left alone. `cause` is for the reason, and borrowed until
 * vh_actuate_end. That a thread other than a vCPU's has ended is no failure. */
void vh_actuate_want(VhActuate *actuate, const struct vh_target *target,
                     const union vh_setting *setting, gconstpointer cause);
/* After that, for what is set for the first time: the former mask is `usual` (copied), whatever the
 * thread has now. NULL: what it was when it was noted last. */
void vh_actuate_assume(VhActuate *actuate, const struct vh_target_key *key,
                       const struct vh_cpuset *usual);
/* The wishes that follow in this round have an occasion of their own, which is the reason of what
 * is reverted; static. NULL: that of vh_actuate_end. */
void vh_actuate_because(VhActuate *actuate, const char *why);
/* Carries the round out. `why` is the occasion: it is the reason of what is reverted. NULL:
 * routine, which the journal is not told of unless it fails. Returns how many actions were undone;
 * `*retry` is set when a host CPU turned out to be offline. */
guint vh_actuate_end(VhActuate *actuate, const char *why, bool *retry);

/* The host's CPUs have changed: what failed may be tried again, and what the kernel undid is to be
 * done again. */
void vh_actuate_forgive(VhActuate *actuate);

/* Has somebody else changed what is in force for a thread of `guest`? It is to be done again then,
 * by a round. */
bool vh_actuate_check(VhActuate *actuate, const char *guest);

/* Somebody else has changed the thread's mask, and means it: what was saved is forgotten, nothing
 * is put back. */
void vh_actuate_yield(VhActuate *actuate, const struct vh_target *target);

/* What is in force for a target by us (borrowed until the next round); NULL: nothing. */
const union vh_setting *vh_actuate_setting(const VhActuate *actuate,
                                           const struct vh_target_key *key);

/* What was to be set for a target and its control group bars; NULL: it does not. Borrowed as
 * above. */
const union vh_setting *vh_actuate_barred(const VhActuate *actuate,
                                          const struct vh_target_key *key);

/* All that there is to tell of a target, found at once. Borrowed until the next round; `former` may
 * be kept with a reference, by any thread. */
struct vh_actuate_look {
    const union vh_setting *set; /* in force by us; NULL: nothing is */
    GRefString *former;          /* what that replaced, in words; NULL: nothing */
    const char *problem;         /* the last failure; NULL: none */
};
void vh_actuate_look(const VhActuate *actuate, const struct vh_target_key *key,
                     struct vh_actuate_look *look);
/* For people: the former state ("" if unchanged) and the last failure ("" if none). g_free()
 * `*former`. */
void vh_actuate_describe(const VhActuate *actuate, const struct vh_target_key *key, char **former,
                         const char **problem);
/* For how many microseconds what is in force has been; -1: nothing is. What was found in force
 * counts from then.
 */
gint64 vh_actuate_age(const VhActuate *actuate, const struct vh_target_key *key);
