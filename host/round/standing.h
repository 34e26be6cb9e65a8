/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How one thread of a guest stands: what is in force for it, what the last plan has for it, and
 * why. One value, which status, why and map render, so that they cannot disagree.
 *
 * Asking only reads: the plan and the wishes are those of the last run. What the kernel and the
 * actuator say is of now. */
#pragma once

#include "inventory/seat.h"
#include "qemu/threads.h"
#include "round/state.h"

enum vh_standing_state {
    VH_STANDING_FLOATING, /* nothing is wanted, or it is not ours to do */
    VH_STANDING_WANTED,   /* a place is wished and it has none */
    VH_STANDING_PINNED,   /* by us, or by a former vhintd whose pins are not taken over yet */
    VH_STANDING_STATES
};

/* "floating", "wanted", "pinned". */
extern const char *const vh_standing_names[VH_STANDING_STATES];

typedef struct vh_standing {
    pid_t thread;
    enum vh_standing_state state;
    bool left;                   /* held to what a former vhintd has left */
    const struct vh_cpuset *set; /* in force by us; NULL: nothing. Borrowed until the next run */
    const struct vh_wish *wish;  /* a vCPU's; NULL: none is known. Borrowed likewise */
    bool alive;
    struct vh_cpuset now; /* what the kernel allows it, if it is alive */
    char *former;         /* in words; "": nothing was changed. Owned */
    char *why;            /* for people. Owned */
    const char *problem;  /* of the last action; "": none. Borrowed until the next run */
} VhStanding;

/* The guest's vCPU at this position. vh_standing_clear() it. */
void vh_standing_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                      struct vh_standing *standing);
/* A thread beside its vCPUs. */
void vh_standing_helper(const VhRound *round, const struct vh_entry *entry,
                        const struct vh_thread *thread, struct vh_standing *standing);
void vh_standing_clear(struct vh_standing *standing);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VhStanding, vh_standing_clear)

/* The CPUs that it may use now, "" if it is gone. g_free() it. */
char *vh_standing_cpus(const struct vh_standing *standing);

/* ---- describe.c ---- */

/* Adds what GetGuest says of a thread beside the vCPUs. */
void vh_helpers_describe(const struct vh_thread *thread, const struct vh_standing *standing,
                         GVariantDict *dict);
