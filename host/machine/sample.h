/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long threads ran and how long they waited to run, as the kernel counts it in
 * /proc/TID/schedstat. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define VH_SAMPLE_SCAN_MAX 8192u /* threads looked at to find the busiest */
#define VH_SAMPLE_BUSIEST_MAX 1024u
#define VH_SAMPLE_DEMAND_NS 20000u /* a thread that wanted less than this did not want to run */

/* Both in nanoseconds, since the thread began. */
struct vh_run {
    guint64 ran;
    guint64 waited;
};

/* The text of a schedstat: "RAN WAITED SLICES". 0, or -1: it is none. */
int vh_sample_parse(const char *text, struct vh_run *run);

/* 0; or -1, and errno is ENOENT when the thread is gone or the kernel has no schedstat. `proc` is
 * /proc but for tests.
 */
int vh_sample_thread(const char *proc, pid_t thread, struct vh_run *run);

/* Is it running, or waiting to? */
bool vh_sample_is_runnable(const char *proc, pid_t thread);

/* Why waiting cannot be measured on this host; NULL: it can. Static. */
const char *vh_sample_missing(const char *proc);

/* Of what was wanted between the two, the share that was waited; NAN when too little was wanted. */
double vh_sample_share(const struct vh_run *before, const struct vh_run *after);

/* Threads that are runnable on this host now; NAN: not known. */
double vh_sample_load(const char *proc);

/* The threads of the host that want to run most, these first, by two looks `gap_us` apart: it
 * sleeps, and reads much of /proc, so it belongs on a thread of its own. Returns pid_t, at most
 * VH_SAMPLE_BUSIEST_MAX. */
GArray *vh_sample_busiest(const char *proc, gulong gap_us);
