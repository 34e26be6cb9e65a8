/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What inventory.c, carry.c, domain.c and look.c share. Main loop only, but for what is
 * said to be in a worker.
 *
 * Invariants:
 *  1. A domain is reported at most once at a time, and what was reported is not changed until it is
 * taken back.
 *  2. A look that began before the domain stopped changes nothing (`generation`). */
#pragma once

#include "hook/port.h"
#include "inventory/inventory.h"
#include "libvirt/early.h"
#include "libvirt/monitor.h"
#include "libvirt/pins.h"
#include "libvirt/xml.h"

struct VhInventory {
    const VhConfig *config;
    const struct vh_inventory_events *events;
    gpointer data;
    VhVirt *virt; /* NULL: libvirt is not configured, and all is empty */
    bool connected;
    VhVirtTold *told;    /* of pins */
    VhHookPort *hook;    /* NULL: none */
    GHashTable *domains; /* uuid -> struct vh_virt_domain */
};

struct vh_virt_domain {
    VhInventory *inventory;
    char *uuid;
    guint generation; /* how often it has stopped */
    bool looking;
    bool look_again; /* something happened since the look began */
    bool suspect;    /* what the monitor said may be incomplete: ask again */
    bool missed;     /* events may have been missed */

    bool reported;
    int id; /* of the instance that is reported */
    struct vh_config_guest guest;
    VhVirtMonitor *monitor; /* while the guest has it open */
    bool running;           /* the monitor was told */
    VhVirtPins *pins;       /* while it is reported */
    VhEarly *early;         /* while libvirt starts it */
    char *carry;            /* what its metadata is to say of our wishes; NULL: as it does */
    char *carried;          /* what it says */
    bool carrying;          /* libvirt is being told */
};

/* ---- domain.c: what is reported ---- */

/* The one of `uuid`, which is made if there is none; forgotten once it is neither reported nor
 * looked at. */
struct vh_virt_domain *vh_virt_domain_get(VhInventory *inventory, const char *uuid);
void vh_virt_domain_free(gpointer domain);
void vh_virt_domain_forget(struct vh_virt_domain *domain);
/* Reports it if policy wants it, takes it back if not; what is as it was stays. */
void vh_virt_domain_apply(struct vh_virt_domain *domain, const struct vh_domain *xml);
/* `gone`: the domain has stopped; else it goes on and is not ours any longer. */
void vh_virt_domain_take_back(struct vh_virt_domain *domain, bool gone);
/* libvirt is about to start what `xml` says: its threads are placed as soon as there are any. */
void vh_virt_domain_starts(struct vh_virt_domain *domain, const struct vh_domain *xml);
/* libvirt has started it: its threads are there, and libvirt sets their masks no more. */
void vh_virt_domain_started(struct vh_virt_domain *domain);
/* libvirt says that it runs: from here on its monitor tells of its threads, and libvirt can be told
 * of pins. One that arrives by migration does so only once it is there. */
void vh_virt_domain_runs(struct vh_virt_domain *domain);
void vh_virt_domain_stopped(VhInventory *inventory, const char *uuid);

/* ---- carry.c ---- */

/* Tells libvirt what is to go with the domain, once it runs and if that has changed. */
void vh_virt_carry(struct vh_virt_domain *domain);

/* ---- look.c: asking libvirt ---- */

/* Reads its XML and does what follows from that, once libvirt has answered. */
void vh_virt_look(struct vh_virt_domain *domain);
/* The same for all that run; what does not is taken back. */
void vh_virt_look_at_all(VhInventory *inventory);
