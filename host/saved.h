/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Former states, kept in a file so that a daemon that died can be cleaned up after.
 *
 * The file is mapped: noting a state, or that it was put back, is a memory store, which survives the daemon's
 * death (not the host's, but the threads do not survive that either). Order: a slot is filled, then marked
 * applied, then the state is changed; it is put back first, then the slot is freed. The file is locked while a
 * daemon runs. */
#pragma once

#include <sys/types.h>

#include "cpuset.h"

#define VH_SAVED_MAX 4096u /* threads under an action at one time */

typedef struct VhSaved VhSaved;

enum vh_saved_state {
    VH_SAVED_FREE = 0,
    VH_SAVED_NOTED = 1,   /* nothing has been changed yet: of no meaning to the next daemon */
    VH_SAVED_APPLIED = 2, /* to be put back */
};

struct vh_saved_slot {
    uint32_t state; /* enum vh_saved_state */
    uint32_t vcpu;
    int32_t thread;
    uint32_t reserved;
    uint64_t start; /* of the thread, in clock ticks since boot: tells it from a later one with its number */
    char guest[104];
    struct vh_cpuset former;
};

/* Opens or creates `path`. NULL and VH_ERROR_FAILED, or VH_ERROR_BUSY when another daemon uses it. */
VhSaved *vh_saved_open(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Keeps what is still applied in the file. */
void vh_saved_close(VhSaved *saved);

/* A slot in state NOTED, all else 0; NULL: all are in use. */
struct vh_saved_slot *vh_saved_take(VhSaved *saved);
void vh_saved_free_slot(VhSaved *saved, struct vh_saved_slot *slot);

/* The next slot in state APPLIED after `last` (NULL: the first); NULL: none. */
struct vh_saved_slot *vh_saved_next(VhSaved *saved, const struct vh_saved_slot *last);
