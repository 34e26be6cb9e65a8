/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A share of something that is counted in bytes: a bucket that is full at first and fills again.
 * Whoever has used it up is shut out until a quarter of it is there again, so that what passes
 * comes in stretches. Decides only: the caller says what time it is. */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct vh_share_size {
    double bytes; /* that it holds */
    double rate;  /* bytes in a second that it fills by */
};

/* All zero: a full one. */
struct vh_share {
    gint64 filled; /* us of the monotonic clock; 0: never */
    double left;   /* bytes; below 0: owed */
    bool shut;
    guint64 held_back; /* the owner's: how much did not pass and has not been told yet */
};

/* May something pass now? If so, the caller takes its bytes from `left`. */
bool vh_share_open(struct vh_share *share, const struct vh_share_size *size, gint64 now);

/* When something may pass next. */
gint64 vh_share_opens(const struct vh_share *share, const struct vh_share_size *size, gint64 now);

/* Is all of it there, and nothing to be told? Then it is as good as a new one. */
bool vh_share_idle(const struct vh_share *share, const struct vh_share_size *size, gint64 now);
