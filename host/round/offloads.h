/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All guests' offloads: what each is to have by policy and by what it has said, what the net thread
 * is asked for, and what comes of it.
 *
 * A round says which guests may have offloads, and what they have said; one that it does not name
 * has none from that moment on. While there is any, a timer renews their leases (net/net.h), asks
 * for figures, and has the advisor (decide/advisor.h) judge by them. */
#pragma once

#include <gio/gio.h>

#include "base/nic.h"
#include "base/offload.h"
#include "base/thread-id.h"
#include "hint/facts.h"
#include "io/journal.h"
#include "net/net.h"

/* A guest's slots see no packet for longer than this once nobody renews their lease. */
#define VH_OFFLOADS_LEASE_US (3 * G_USEC_PER_SEC / 2)

#ifndef VH_OFFLOADS_LOOK_US
#define VH_OFFLOADS_LOOK_US ((gint64)G_USEC_PER_SEC)
#endif

typedef struct VhOffloads VhOffloads;

struct vh_offloads_host {
    const char *proc;        /* /proc but for tests */
    gint64 look_us;          /* between looks at figures; VH_OFFLOADS_LOOK_US but for tests */
    struct vh_net_place net; /* all of it borrowed */
};

/* Starts the net thread. `host` and `journal` are borrowed. `shown` is called with a guest's name
 * whenever what vh_offloads_describe says of it may have changed. NULL and VH_ERROR_FAILED. */
VhOffloads *vh_offloads_new(const struct vh_offloads_host *host, VhJournal *journal,
                            void (*shown)(const char *guest, gpointer data), gpointer data,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes all away, saying `why`; or leaves it for the next vhintd. NULL is fine. */
void vh_offloads_free(VhOffloads *offloads, const char *why, bool leave);

/* What is known of one guest in a round. All is borrowed for the call. */
struct vh_offloads_ask {
    const char *guest;
    const struct vh_offload_limits *limits;
    const VhFacts *facts;        /* what its injector has said in this session */
    struct vh_thread_id process; /* QEMU's; thread 0: not known */
    const struct vh_nic *nics;
    unsigned nic_count;
    const char *nic_problem; /* static; NULL: none */
};

void vh_offloads_begin(VhOffloads *offloads);
void vh_offloads_ask(VhOffloads *offloads, const struct vh_offloads_ask *ask);
/* Returns how many guests have lost their offloads. `why`: the occasion. */
guint vh_offloads_end(VhOffloads *offloads, const char *why);
/* What a former vhintd has left and no round has named is taken away. */
void vh_offloads_settle(VhOffloads *offloads);

/* org.vhint.Manager1's Offloads about a guest: aa{sv}, floating; empty where it has none to do
 * with.
 */
GVariant *vh_offloads_describe(const VhOffloads *offloads, const char *guest);
