/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What trials look at beside their own threads, once for all of them: who is busy on this host, and
 * how much these threads ran and waited.
 *
 * The busy ones are searched for on a thread of its own, which reads much of /proc, by one search
 * at a time; what it found is everybody's for VH_CROWD_AGE_US. What a file says is everybody's for
 * VH_CROWD_TURN_US. So what a thousand trials at once cost is about what one does. */
#pragma once

#include "machine/sample.h"

#define VH_CROWD_AGE_US ((gint64)2 * G_USEC_PER_SEC)
#define VH_CROWD_TURN_US ((gint64)5000)

typedef struct VhCrowd VhCrowd;

/* `proc` is /proc but for tests. */
VhCrowd *vh_crowd_new(const char *proc);
/* A search that is under way ends by itself. */
void vh_crowd_free(VhCrowd *crowd);

/* The threads (pid_t) that want to run most, these first. NULL: they are searched for from now on;
 * ask again. Borrowed until the main loop turns. */
const GArray *vh_crowd_busiest(VhCrowd *crowd, gint64 now);

struct vh_crowd_reading {
    gint64 when; /* monotonic time, us */
    struct vh_run run;
};

/* 0; -1: the thread is gone, or the kernel does not say. */
int vh_crowd_read(VhCrowd *crowd, pid_t thread, struct vh_crowd_reading *reading);

/* As vh_sample_... */
bool vh_crowd_is_runnable(VhCrowd *crowd, pid_t thread);
double vh_crowd_load(VhCrowd *crowd);
const char *vh_crowd_missing(VhCrowd *crowd);
