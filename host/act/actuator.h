/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every actuator is: a way to change one thing about one target of a guest's, and to put it
 * back. Most targets are host threads (base/target.h).
 *
 * Actuators are called by actuate.c and recover.c, which carry out rounds. Those rounds are made by
 * round/: one for pins, one for boosts, one for memory. Once vhintd is gone, the warden calls the
 * boost's recover.
 *
 * The life of one hold, from the first round that names its target to the first that does not:
 *
 *                probe
 *                  |
 *                  +---- found says so, or adopt -------.
 *                  v                                    v
 *              .-------.   apply                   .---------.
 *   assume, .->| NOTED |-------------------------->| APPLIED |<-. apply: another setting,
 *   complete '-|       |<--------------------------|         |--' or what had drifted
 *              '-------'   revert                  '---------'
 *                  |                                 |     |
 *                  | forget                   forget |     | leave: it stays in force, on
 *                  v                                 v     v record for the next daemon
 *                (end)                              (end) (end)
 *
 * An apply that fails leaves the state as it was. If that is APPLIED, a revert follows. A revert
 * that fails ends in NOTED all the same: it is told, and not tried again. In either state the
 * former state may be asked for (former), and what is in force may be compared (stands, left).
 *
 * Which call of actuate.h makes which of these:
 *
 *   new                 recover, once for each slot that a dead daemon left: there is no hold yet
 *   new_adopting        none: take_over, put_back and adopted are to come
 *   put_back, adopted   recover of what nobody has taken over
 *   begin               none
 *   want                the first time: probe, found, and stands and adopt to see what is
 * inherited; rename of a thread that has another key than before assume              assume, of a
 * hold that is wanted and NOTED end                 revert of all that is not wanted, forget of all
 * that is not named; only then apply of all that is wanted and not so yet, left to find that out
 *   take_over           as want, before the first round that names the thread: it has been left
 *   check               stands
 *   forgive             stands; complete of what is NOTED
 *   yield               forget: nothing is put back
 *   free                revert and forget of all
 *   leave               leave of all
 */
#pragma once

#include <stdbool.h>

#include "act/saved.h"
#include "base/target.h"
#include "decide/boost.h"

/* What an action sets: each actuator has its member. */
union vh_setting {
    struct vh_cpuset cpus;    /* pin */
    enum vh_boost_kind boost; /* boost */
    uint64_t memory;          /* memory: bytes */
};

/* One actuator's hold on one target. Each actuator has its own kind of it. */
typedef struct VhHold VhHold;

struct vh_actuator {
    const char *name;
    enum vh_saved_kind saved; /* which slots are its own */
    /* Can `target` be acted upon? Notes its former state, so that apply is quick. NULL and
     * VH_ERROR_FAILED. */
    VhHold *(*probe)(VhSaved *saved, const struct vh_target *target, GError **error);
    /* What it has a hold on is called `key` from now on. */
    void (*rename)(VhHold *hold, const struct vh_target_key *key);
    /* Before apply: the former mask is `cpus` (NULL: what was noted last), whatever the thread has
     * now, until it is put back. NULL: no mask is changed. */
    void (*assume)(VhHold *hold, const struct vh_cpuset *cpus);
    /* Was it applied before the probe, by a former daemon, and has not been put back? Then
     * `setting` is what is in force. NULL: nothing is ever found. */
    bool (*found)(const VhHold *hold, union vh_setting *setting);
    /* 0, or -1 and an error: VH_ERROR_NOT_CONNECTED when the thread is gone,
     * VH_ERROR_INVALID_ARGUMENT when no CPU of those wanted is online, VH_ERROR_REFUSED when its
     * control group bars some, VH_ERROR_FAILED. The former state is saved before the first change.
     */
    int (*apply)(VhHold *hold, const union vh_setting *setting, GError **error);
    /* The thread was made while `maker`'s was changed, and has inherited the change: from now on it
     * counts as applied, and the maker's former state as this one's. NULL: nothing is inherited. */
    void (*adopt)(VhHold *hold, const VhHold *maker);
    /* Puts the former state back, if anything was changed. 0, or -1 and an error as apply's. */
    int (*revert)(VhHold *hold, GError **error);
    /* After revert, when the host's CPUs have changed: puts back what could not be, because a CPU
     * was offline. NULL: there is no such thing. */
    void (*complete)(VhHold *hold);
    /* The former state in words; "" when nothing was changed. g_free() it. */
    char *(*former)(const VhHold *hold);
    /* Is what was applied in force still? false also means: somebody else has changed it. */
    bool (*stands)(const VhHold *hold, const union vh_setting *setting);
    /* Is what was applied about something that the thread has left? Cheap; NULL: that cannot be. */
    bool (*left)(const VhHold *hold);
    bool (*same)(const union vh_setting *a, const union vh_setting *b);
    /* For people. g_free() it. */
    char *(*text)(const union vh_setting *setting);
    /* Ends the hold; does not revert. */
    void (*forget)(VhHold *hold);
    /* Ends the hold; what is in force stays so and on record, for the next daemon. NULL: it is to
     * be reverted. */
    void (*leave)(VhHold *hold);
    /* Puts back what a dead daemon left applied in `slot`, which is freed. 0; -1 and an error,
     * NOT_CONNECTED when the thread is gone, and with it all need; 1: the slot stays, to be found
     * by probe. */
    int (*recover)(VhSaved *saved, struct vh_saved_slot *slot, GError **error);
};

extern const struct vh_actuator vh_actuator_pin;
extern const struct vh_actuator vh_actuator_boost;
extern const struct vh_actuator vh_actuator_memory;
