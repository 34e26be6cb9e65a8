/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How busy each of the host's CPUs is, by /proc/stat.
 *
 * Nothing ticks for this: it is read when somebody asks, and tells of the time since the last
 * reading, which is VH_LOAD_GAP_US at least. Reading it takes 0.1 ms on a small host and some ms on
 * a very large one, so ask only where the answer matters. */
#pragma once

#include <glib.h>
#include <stdint.h>

#define VH_LOAD_GAP_US 20000

typedef struct VhLoad VhLoad;

/* `path` is /proc/stat but for tests; copied. Reads it once, for the beginning. */
VhLoad *vh_load_new(const char *path);
void vh_load_free(VhLoad *load);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhLoad, vh_load_free)

/* For each CPU, by number, the permille of the time in which it was busy, with all that runs there;
 * `count` of them. `now` is g_get_monotonic_time(). NULL: not known. Borrowed until the next call.
 */
const uint16_t *vh_load_read(VhLoad *load, unsigned count, gint64 now);
