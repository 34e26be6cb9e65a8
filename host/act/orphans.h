/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads that a dead daemon never saw: made by one whose mask it had narrowed, they have that mask
 * and no saved one.
 *
 * What is saved tells whose masks were changed, and those threads still have what they were changed
 * to. A thread of the same process that is not among them and has just that goes back to what such
 * a thread had. That is the rule by which a living daemon knows what is inherited (actuate.h); what
 * it cannot know is a child of a thread that has ended since. */
#pragma once

#include <glib.h>

#include "act/saved.h"

/* How likely a thread is to have made another, among those that may have: QEMU's own threads make
 * most, the process's first thread most of all. */
static inline unsigned vh_maker_rank(enum vh_target_kind kind, pid_t process, pid_t thread)
{
    if (kind != VH_TARGET_EMULATOR)
        return 0;
    return thread == process ? 2 : 1;
}

typedef struct VhOrphans VhOrphans;

/* Notes what the threads saved in `saved` are held to, before they are put back. Reads /proc. */
VhOrphans *vh_orphans_new(VhSaved *saved);
/* Once they are: puts back what they have made. Calls `func` for each thread that was. */
typedef void (*VhOrphanFunc)(const char *guest, pid_t thread, gpointer data);
void vh_orphans_put_back(VhOrphans *orphans, VhOrphanFunc func, gpointer data);
void vh_orphans_free(VhOrphans *orphans);
