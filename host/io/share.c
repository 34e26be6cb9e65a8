// SPDX-License-Identifier: GPL-2.0-or-later
// Counts what is left of shares.
#include "io/share.h"

/* Of the share, that must be there before one that is shut opens again. */
#define OPENS_AT 0.25

static double left_at(const struct vh_share *share, const struct vh_share_size *size, gint64 now)
{
    double gained = (double)(now - share->filled) * size->rate / G_USEC_PER_SEC;

    return share->filled ? MIN(share->left + gained, size->bytes) : size->bytes;
}

bool vh_share_open(struct vh_share *share, const struct vh_share_size *size, gint64 now)
{
    share->left = left_at(share, size, now);
    share->filled = now;
    share->shut = share->left <= 0 || (share->shut && share->left < size->bytes * OPENS_AT);
    return !share->shut;
}

gint64 vh_share_opens(const struct vh_share *share, const struct vh_share_size *size, gint64 now)
{
    double missing = size->bytes * OPENS_AT - left_at(share, size, now);

    return share->shut && missing > 0 ? now + (gint64)(missing / size->rate * G_USEC_PER_SEC) + 1
                                      : now;
}

bool vh_share_idle(const struct vh_share *share, const struct vh_share_size *size, gint64 now)
{
    return !share->held_back && left_at(share, size, now) >= size->bytes;
}
