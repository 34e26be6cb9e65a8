/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All readers of hints: the pipes that Watch has given out. On the hint thread, which feeds them.
 */
#pragma once

#include "manager/manager.h"

#define VH_CONTROL_WATCHES_MAX 64u

typedef struct VhWatches VhWatches;

/* Borrows `manager`. */
VhWatches *vh_watches_new(VhManager *manager);
/* Ends them all. */
void vh_watches_free(VhWatches *watches);

/* The read end of a new watch's pipe, the caller's to close; or -1 and VH_ERROR_BUSY,
 * VH_ERROR_NO_SUCH_GUEST or the host's own failure. */
int vh_watches_open(VhWatches *watches, const char *guest,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
