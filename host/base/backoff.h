/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long to wait before the next try of what has failed. */
#pragma once

#include <glib.h>

/* `least` after the first failure (`tries` 0), twice as long after each that follows, `most` at
 * most. In whatever unit these are. */
static inline guint vh_backoff(guint tries, guint least, guint most)
{
    return tries < 16 ? MIN(least << tries, most) : most;
}
