/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Follows a domain from the hook's call to libvirt's event that it has started: finds its QEMU,
 * which has its vCPUs' threads before they run the first instruction.
 *
 * What libvirt does meanwhile (qemuProcessLaunch): it calls the hook's "start", starts QEMU with
 * its CPUs stopped, gives each vCPU's and IOThread's thread the mask of the domain's XML, asks the
 * monitor a dozen things, lets the CPUs run, calls the hook's "started", and reports the event.
 * Nothing tells in between, so this looks: every VH_EARLY_MS, as long as a start takes and no
 * longer than VH_EARLY_LIMIT_MS, and never for more than a small part of the time. What libvirt
 * resets is thus set again before the CPUs run, unless the host is so busy that this daemon does
 * not get to look in between; then a moment after.
 *
 * The process is the one that libvirt's own file names, whose command line has the domain's UUID.
 */
#pragma once

#include <glib.h>

#include "base/thread-id.h"

#define VH_EARLY_MS 2
#define VH_EARLY_SLOW_MS 20 /* once a start has taken VH_EARLY_SLOW_AFTER_MS */
#define VH_EARLY_SLOW_AFTER_MS 5000
#define VH_EARLY_LIMIT_MS 120000
#define VH_EARLY_SHARE 10 /* this many times what a look took passes before the next one */

typedef struct VhEarly VhEarly;

/* QEMU runs as `process`: see what has changed about its threads. Called at each look. */
typedef void (*VhEarlyFunc)(const struct vh_thread_id *process, gpointer data);

/* `proc` is /proc and `pid_file` NULL (libvirt's own) but for tests. All are copied. */
VhEarly *vh_early_new(const char *proc, const char *pid_file, const char *name, const char *uuid,
                      VhEarlyFunc func, gpointer data);
/* NULL is fine. */
void vh_early_free(VhEarly *early);
