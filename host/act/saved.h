/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Former states, kept in a file so that a daemon that died can be cleaned up after.
 *
 * The file is mapped: noting a state, or that it was put back, is a memory store, which survives
 * the daemon's death (not the host's, but the threads do not survive that either). Order: a slot is
 * filled, then marked applied, then the state is changed; it is put back first, then the slot is
 * freed. The file is locked while a daemon runs. It has holes where no slot was ever taken, so its
 * size costs nothing.
 *
 * The file begins with its version. What a former version has left is made anew in this one's
 * layout, and put in its place at once (saved-former.h).
 *
 * A mask that a former daemon left changed is *left* until somebody claims it or frees its slot
 * (actuate.h). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cpuset.h"
#include "base/target.h"

#define VH_SAVED_MAX 65536u /* actions at one time */
#define VH_SAVED_PATH 384u
#define VH_SAVED_GUEST 256u

typedef struct VhSaved VhSaved;

enum vh_saved_state {
    VH_SAVED_FREE = 0,
    VH_SAVED_NOTED = 1,   /* nothing has been changed yet: of no meaning to the next daemon */
    VH_SAVED_APPLIED = 2, /* to be put back */
};

/* What a slot's former state is about. The numbers are in files. */
enum vh_saved_kind { VH_SAVED_MASK = 0, VH_SAVED_BOOST = 1, VH_SAVED_MEMORY = 2 };

#define VH_SAVED_ENDING 1u /* vhintd is about to put the former state back */
#define VH_SAVED_PAUSED 2u /* the warden has done so for the rest of a budget's period */

struct vh_saved_boost {
    uint32_t kind; /* enum vh_boost_kind: says which of these were changed */
    int32_t nice;
    int32_t policy;   /* SCHED_*, with SCHED_RESET_ON_FORK as it was */
    int32_t priority; /* real-time */
    uint32_t util_min;
    uint32_t flags;                  /* VH_SAVED_*, changed atomically */
    uint64_t weight;                 /* of the cgroup */
    uint64_t weight_ours;            /* what it was set to */
    char weight_file[VH_SAVED_PATH]; /* its cpu.weight or cpu.shares */
};

struct vh_saved_memory {
    uint64_t former;          /* bytes that the guest had */
    uint64_t set;             /* bytes that it was given */
    uint64_t value;           /* what its device is to be set to for `former` */
    uint64_t owner;           /* process that has a hold on it; 0: none */
    char name[VH_SAVED_PATH]; /* of the device */
    char road[VH_SAVED_PATH]; /* to QEMU, for whoever has no guest (qemu/memory.h) */
};

struct vh_saved_slot {
    uint32_t state;  /* enum vh_saved_state */
    uint32_t kind;   /* enum vh_saved_kind */
    uint32_t target; /* enum vh_target_kind, of the key */
    uint32_t id;     /* likewise */
    int32_t process; /* that the thread is of */
    int32_t thread;
    uint64_t start; /* of the thread: see struct vh_thread_id */
    char guest[VH_SAVED_GUEST];
    union {
        struct vh_cpuset former;
        struct vh_saved_boost boost;
        struct vh_saved_memory memory;
    };
};
_Static_assert(sizeof(struct vh_saved_slot) == 1088, "a file of this version must still be read");

/* What vhintd and its warden tell each other through the file. All words are changed atomically. */
struct vh_saved_shared {
    uint32_t bell;      /* one more: there is something to look at (a futex) */
    uint32_t warded;    /* the warden is there, and real-time */
    uint32_t share;     /* of struct vh_budget_limits */
    uint32_t period_us; /* likewise */
    uint32_t hurry;     /* until when vhintd's own thread goes before others: CLOCK_MONOTONIC in ms,
                           modulo 2^32 */
};

/* Opens or creates `path`. NULL and VH_ERROR_FAILED, or VH_ERROR_BUSY when another process uses it
 * for more than a second. */
VhSaved *vh_saved_open(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Keeps what is still applied in the file. */
void vh_saved_close(VhSaved *saved);

/* After a fork, in the child: lets the parent alone hold the file's lock. All stays where it is. */
void vh_saved_unlock(VhSaved *saved);

struct vh_saved_shared *vh_saved_shared(VhSaved *saved);
/* Its number, below VH_SAVED_MAX. */
unsigned vh_saved_index(const VhSaved *saved, const struct vh_saved_slot *slot);

/* A slot in state NOTED, all else 0; NULL: all are in use. */
struct vh_saved_slot *vh_saved_take(VhSaved *saved);
/* Whose former state it is. */
void vh_saved_set_key(struct vh_saved_slot *slot, const struct vh_target_key *key);
/* Borrows from the slot. */
struct vh_target_key vh_saved_key(const struct vh_saved_slot *slot);
/* What the action is done to. */
static inline void vh_saved_set_thread(struct vh_saved_slot *slot,
                                       const struct vh_thread_id *thread)
{
    slot->process = thread->process;
    slot->thread = thread->thread;
    slot->start = thread->start;
}

static inline struct vh_thread_id vh_saved_thread(const struct vh_saved_slot *slot)
{
    return (struct vh_thread_id){slot->process, slot->thread, slot->start};
}

void vh_saved_free_slot(VhSaved *saved, struct vh_saved_slot *slot);

/* The next slot of `kind` in state APPLIED after `last` (NULL: the first); NULL: none. */
struct vh_saved_slot *vh_saved_next(VhSaved *saved, enum vh_saved_kind kind,
                                    const struct vh_saved_slot *last);

/* The mask that is left for this very thread, which is somebody's from now on; NULL: none is. */
struct vh_saved_slot *vh_saved_claim(VhSaved *saved, const struct vh_thread_id *thread);
bool vh_saved_is_left(const VhSaved *saved, const struct vh_thread_id *thread);
/* Has it neither been claimed nor freed since it was found? */
bool vh_saved_is_left_slot(const VhSaved *saved, const struct vh_saved_slot *slot);
/* The next left mask after `last` (NULL: the first); NULL: none. */
struct vh_saved_slot *vh_saved_next_left(VhSaved *saved, const struct vh_saved_slot *last);
