/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cache: GETs that a guest's memcached would answer are answered by the host's kernel.
 *
 * On the net thread. docs/offload.md says how, and why no read is stale. What the programs cannot
 * see, vhintd has to know before it begins: that nobody reaches memcached but by the guest's taps,
 * and that what it wants here is so. What it learns later it tells by vh_net_cache_flush(). */
#pragma once

#include <glib.h>

#include "net/slot.h"
#include "offload-cache.h"

/* What the kind's `wants` has. */
struct vh_cache_wants {
    struct vh_cache_address addresses[VH_CACHE_ADDRESSES]; /* memcached's, at least one */
    guint64 seed;        /* of what keys are hashed with; 0: a random one, as it should be */
    guint64 welcome_ns;  /* how long memcached\'s answer to a client counts; 0: a second */
    guint16 port;        /* memcached's, over UDP and TCP */
    gboolean unexpiring; /* the tenant's word: no item has an expiry */
};

extern const struct vh_slot_kind vh_net_cache;

/* How many entries fit in so much memory, a power of two; 0: it is too little. Pure. */
guint32 vh_net_cache_entries(guint64 memory);
/* Everything is void, and what memcached answers now is not kept either: for the end of memcached,
 * a guest that goes on after a pause, a doubt. */
void vh_net_cache_flush(VhSlot *slot);
/* Forgets connections that have ended, or are without a packet for so long (ns). Were they to go
 * on, they would be strangers. How many are left. The kind's `hits` does it now and then. */
guint vh_net_cache_sweep(const VhSlot *slot, guint64 idle);
/* Sums over CPUs. */
struct vh_cache_figures vh_net_cache_figures(const VhSlot *slot);
/* For tests: borrowed. */
VhNetObject *vh_net_cache_object(VhSlot *slot);
