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

typedef struct VhOrphans VhOrphans;

/* Notes what the threads saved in `saved` are held to, before they are put back. Reads /proc. */
VhOrphans *vh_orphans_new(VhSaved *saved);
/* Once they are: puts back what they have made. Calls `func` for each thread that was. */
typedef void (*VhOrphanFunc)(const char *guest, pid_t thread, gpointer data);
void vh_orphans_put_back(VhOrphans *orphans, VhOrphanFunc func, gpointer data);
void vh_orphans_free(VhOrphans *orphans);
