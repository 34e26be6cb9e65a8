/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the hint thread asks the net thread for, and what it is told: values that never change once
 * they are handed over. */
#pragma once

#include <glib.h>
#include <net/if.h>
#include <stdbool.h>

#include "base/nic.h"
#include "net/attach.h"
#include "offload.h"

/* All that one guest is to have. */
typedef struct vh_net_wish {
    char *guest;
    guint32 number; /* vh_net_want sets it */
    guint64 serial; /* likewise */
    unsigned nics;
    struct vh_nic nic[VH_NICS_MAX];
    char *uplink;             /* NULL: none */
    guint64 memory;           /* bytes that its slots' maps may take */
    unsigned cycles;          /* percent of a CPU that its slots may take */
    GBytes *wants[VH_STAGES]; /* NULL: not that kind. What the kind's load takes */
    bool acts[VH_STAGES];     /* it acts, or only counts */
} VhNetWish;

void vh_net_wish_free(VhNetWish *wish);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhNetWish, vh_net_wish_free)

/* What has become of one kind of offload of a guest's. */
struct vh_net_offload {
    bool loaded;
    bool acts;
    guint64 hits;
    char *problem;  /* why it is not, or not everywhere; NULL: it is */
    char *left_out; /* the kind's explain; NULL: nothing */
    struct vh_account account[VH_HOOKS];
};

/* Where a guest's packets pass the dispatcher. */
struct vh_net_hook {
    char interface[IFNAMSIZ];
    enum vh_hook hook;
    bool attached;
    enum vh_attach_mode mode;
    char *problem; /* why not; NULL */
};

/* A guest's state. */
typedef struct vh_net_state {
    char *guest;
    guint64 serial; /* of the wish that has been carried out */
    gint64 when;    /* monotonic, us */
    struct vh_net_offload offload[VH_STAGES];
    unsigned hooks;
    struct vh_net_hook hook[VH_NICS_MAX * VH_HOOKS];
} VhNetState;

void vh_net_state_free(VhNetState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhNetState, vh_net_state_free)
