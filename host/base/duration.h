/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Durations as people write them: "250us", "250ms", "2s", "5m", "1h". */
#pragma once

#include <glib.h>

#define VH_DURATION_MAX_US ((gint64)24 * 3600 * G_USEC_PER_SEC)

/* One of these, or "0", at most VH_DURATION_MAX_US. 0; or -1 and VH_ERROR_INVALID_ARGUMENT. */
int vh_duration_parse(const char *text, gint64 *us, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* In the largest unit that makes it a whole number. g_free() it. */
char *vh_duration_text(gint64 us);
