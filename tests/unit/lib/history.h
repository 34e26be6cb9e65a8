/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A history of reads and writes of registers, and whether a read was stale in it.
 *
 * Times are of one clock. A write that was not answered ends never. Nothing is said of reads that
 * find nothing: a cache may lose what it has. */
#pragma once

#include <glib.h>

#define HISTORY_NEVER G_MAXINT64

struct history_op {
    guint32 key;
    guint32 value; /* of a write: its own, not 0; of a read: that of the write it has read */
    gint64 begin, end;
    gboolean write;
    gboolean removes; /* a write after which there is nothing */
};

/* Puts operations into order, and counts the reads that are stale: between the write that they have
 * read and themselves there was another one, begun after the former was done, and done before they
 * began. A write is done when it is answered, or when a read that has found its value is. `first`
 * (NULL: not wanted): says what the first one is; g_free() it. */
guint history_stale(GArray *ops, char **first);
