/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells when a path may have come into being, without polling: inotify on the nearest directory
 * that exists.
 *
 * One inotify descriptor serves all paths (a user has 128 of them by default). GFileMonitor is not
 * used because it polls every few seconds for a directory that does not exist yet. */
#pragma once

#include <glib.h>

typedef struct VhPathWatch VhPathWatch;

/* Called whenever a file of the path's name, or a directory above it, appears. Not called for what
 * is there already when the watch is added. */
typedef void (*VhPathFunc)(gpointer data);

VhPathWatch *vh_path_watch_new(GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All paths must have been removed. */
void vh_path_watch_free(VhPathWatch *watch);

/* Watches for `path` (absolute). Returns a number above 0 for vh_path_watch_remove. A path that
 * cannot be watched is logged and never reported. */
guint vh_path_watch_add(VhPathWatch *watch, const char *path, VhPathFunc func, gpointer data);
void vh_path_watch_remove(VhPathWatch *watch, guint id);
