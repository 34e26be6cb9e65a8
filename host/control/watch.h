/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One reader of hints: lines go into a pipe, and a reader too slow for it loses lines, never the
 * daemon's time. */
#pragma once

#include <glib.h>

/* Bytes of lines that wait for a slow reader, beside what the pipe itself holds (64 KiB, pipe(7)).
 */
#define VH_WATCH_PENDING_MAX (256u << 10)

typedef struct VhWatch VhWatch;

/* Called once, from the main loop, when the reader has closed its end; it may free the watch. */
typedef void (*VhWatchClosed)(VhWatch *watch, gpointer data);

/* Makes the pipe; `*read_fd` (close-on-exec, blocking) is the caller's to pass on and close. The
 * process must ignore SIGPIPE. */
VhWatch *vh_watch_new(VhWatchClosed closed, gpointer data, int *read_fd,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Ends the watch: the reader sees the end of the file after what it has not read yet. */
void vh_watch_free(VhWatch *watch);

/* Writes `line` (no newline in it) and a newline; never blocks. What does not fit is counted, and
 * the count is written as {"dropped":N} in the place of the lost lines as soon as there is room. */
void vh_watch_line(VhWatch *watch, const char *line, gsize len);
