/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of VhOffloads, for offloads*.c only. */
#pragma once

#include "decide/advisor.h"
#include "round/offloads.h"

/* What the advisor's samples are differences of. */
struct vh_offload_totals {
    gint64 when; /* 0: not known */
    guint64 seen, packets, hits, decided, ns, guest_ns;
};

/* One kind of offload of a guest's. */
struct vh_offload {
    GBytes *wants;       /* NULL: it cannot be had now */
    const char *why_not; /* static; NULL: it can */
    struct vh_advisor advisor;
    struct vh_offload_totals totals;
};

struct vh_offload_guest {
    char *name;
    bool named; /* in this round */
    bool sent;  /* the net thread has a wish of its */
    gint64 sent_at;
    struct vh_offload_limits limits;
    struct vh_thread_id process;
    struct vh_nic nics[VH_NICS_MAX];
    unsigned nic_count;
    const char *nic_problem;
    struct vh_offload kinds[VH_STAGES];
    VhNetState *state; /* the last; NULL: none since it was sent */
};

struct VhOffloads {
    const char *proc;
    const struct vh_slot_kind *const *kinds;
    VhJournal *journal;
    void (*shown)(const char *guest, gpointer data);
    gpointer data;
    VhNet *net;
    GHashTable *guests; /* name -> struct vh_offload_guest */
    guint timer;
    gint64 look_us;
    gint64 looked; /* when states were asked for last */
};

/* ---- offloads-told.c ---- */

/* Takes `state` over, which is the guest's now. Returns whether the advisor has decided something,
 * so that its wish is another one. */
bool vh_offloads_take(VhOffloads *offloads, struct vh_offload_guest *guest, VhNetState *state);
/* Says what has become of one. `why` NULL: the advisor's words. */
void vh_offloads_tell(const VhOffloads *offloads, const struct vh_offload_guest *guest, guint stage,
                      const char *before, const char *why);
/* What it is called where people read it. */
const char *vh_offload_state(const struct vh_offload_guest *guest, guint stage);
