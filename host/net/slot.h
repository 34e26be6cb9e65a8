/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each kind of offload is: how its slots' programs come to be loaded for a guest, and what
 * they tell.
 *
 * Everything here runs on the net thread. The dispatcher knows nothing of what is inside: it calls
 * programs and counts (host-bpf/offload.h). An instance (VhSlot) is loaded for one guest and one
 * set of rules, and never changes. To change rules another instance is loaded, given the former one
 * so that it may go on with its maps, and put in its place; then the former one is freed. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "net/object.h"

/* One instance. Each kind has its own kind of it. */
typedef struct VhSlot VhSlot;

struct vh_slot_kind {
    const char *name; /* policy's word */
    enum vh_stage stage;
    /* Loads the programs for guest `number` and what it `wants` (the kind's own layout, which the
     * hint thread has made). It only counts at first, if it can. `former` (borrowed, NULL: there is
     * none) is in force. NULL and VH_ERROR_FAILED, or VH_ERROR_REFUSED: it cannot be done soundly,
     * for the reason told. */
    VhSlot *(*load)(const VhNetMaps *maps, guint32 number, GBytes *wants, VhSlot *former,
                    GError **error);
    /* Its program for a hook, borrowed; -1: it has none there. */
    int (*program)(const VhSlot *slot, enum vh_hook hook);
    /* From now on it does what it decides, or only counts that. */
    void (*act)(VhSlot *slot, bool act);
    /* Packets that it has decided about so far, whether it acts or only counts. */
    guint64 (*hits)(const VhSlot *slot);
    /* What it does not do and why, for people, a line each; NULL: nothing is left out. g_free() it.
     */
    char *(*explain)(const VhSlot *slot);
    void (*free)(VhSlot *slot);
};
