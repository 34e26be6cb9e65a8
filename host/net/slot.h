/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each kind of offload is: how its slots' programs come to be loaded for a guest, and what
 * they tell.
 *
 * Everything here but gather runs on the net thread. The dispatcher knows nothing of what is
 * inside: it calls programs and counts (host-bpf/offload.h). An instance (VhSlot) is loaded for one
 * guest and one set of rules, and never changes. To change rules another instance is loaded, given
 * the former one so that it may go on with its maps, and put in its place; then the former one is
 * freed. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "hint/facts.h"
#include "net/object.h"

/* One instance. Each kind has its own kind of it. */
typedef struct VhSlot VhSlot;

/* For whom an instance is loaded, and what for. All is borrowed. */
struct vh_slot_order {
    guint32 number; /* of the guest, in the dispatcher's maps */
    GBytes *wants;  /* what gather has made */
    guint64 memory; /* bytes that the guest's maps may take */
    VhSlot *former; /* is in force; NULL: there is none */
};

struct vh_slot_kind {
    const char *name; /* policy's word */
    enum vh_stage stage;
    /* On the hint thread, unlike all else: what is wanted for a guest with these facts, in the
     * kind's own layout; equal bytes mean that nothing has changed. NULL: nothing, for a reason
     * that `*why` (static) tells: until it can be told soundly what the guest would do, nothing is
     * done for it. */
    GBytes *(*gather)(const VhFacts *facts, const char **why);
    /* Loads the programs. They only count at first. NULL and VH_ERROR_FAILED, or VH_ERROR_REFUSED:
     * it cannot be done soundly, for the reason told. */
    VhSlot *(*load)(const VhNetMaps *maps, const struct vh_slot_order *order, GError **error);
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
