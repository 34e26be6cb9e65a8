/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom an action is for, and what it is done to. */
#pragma once

#include <glib.h>

#include "base/thread-id.h"

/* A thread that leaves what was changed for it is followed by the first round that comes so long
 * after the last look. */
#define VH_TARGET_LEFT_US (G_USEC_PER_SEC / 2)

/* The numbers are in files (act/saved.h). */
enum vh_target_kind {
    VH_TARGET_VCPU = 1,     /* id: QEMU's index */
    VH_TARGET_EMULATOR = 2, /* one of QEMU's own threads. id: its number */
    VH_TARGET_IOTHREAD = 3, /* likewise */
    VH_TARGET_VHOST = 4,    /* likewise */
    VH_TARGET_MEMORY = 5,   /* all of the guest's. id: 0 */
};

/* What an action is called by: the same for as long as the guest has such a thing. */
struct vh_target_key {
    const char *guest; /* borrowed */
    enum vh_target_kind kind;
    unsigned id;
};

/* What it is done to is another matter: under the same key another thread may come, and a thread
 * may get another key. */
struct vh_target {
    struct vh_target_key key;
    struct vh_thread_id on;  /* memory: QEMU's first thread, for its process */
    struct VhRamDevice *ram; /* memory: by what; borrowed. NULL for others */
};

/* For tables of struct vh_target_key. */
guint vh_target_hash(gconstpointer key);
gboolean vh_target_equal(gconstpointer a, gconstpointer b);
