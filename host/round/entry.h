/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest under management, as the manager and its rounds see it. */
#pragma once

#include <stdbool.h>

#include "base/target.h"
#include "guest/guest.h"

/* A guest and what is known of it beyond what it says. */
struct vh_entry {
    struct VhManager *manager; /* whose */
    VhGuest *guest;
    guint64 serial; /* a number: who comes later has a higher one */
    /* Its wishes may have changed since the last run, for this reason (static); NULL: they have
     * not. */
    const char *why;
    bool held;    /* released by hand: no action until resume */
    bool travels; /* its maker has a note of what goes with it */
    /* What a former daemon has left of its is as it was; NULL: it has been taken over. */
    struct vh_left *left;
    GHashTable *off; /* vh_seat_key -> why that seat is not ours to place */
    bool nodes_known;
    struct vh_cpuset nodes; /* NUMA nodes of its memory, by libvirt's word */
    char *problem; /* what the last plan could not do for the guest as a whole; NULL: nothing */
    /* What is shown of it, as long as that holds; NULL: it is to be copied anew. */
    struct VhPortrait *portrait;
    unsigned portrayed_as; /* gallery.c: its number in the plan that the portrait shows */
    unsigned number;       /* its own in the last plan, if that has any of its threads */
    GArray *planned;       /* struct vh_planned: its threads that the last plan knew */
};

struct vh_planned {
    pid_t thread;
    unsigned number; /* of the thread, among its guest's in the plan */
};

/* Without a guest, of which the manager sees to. */
struct vh_entry *vh_entry_new(struct VhManager *manager);
/* Frees its guest, too. */
void vh_entry_free(gpointer entry);

/* What is shown of it has changed. */
void vh_entry_redraw(struct vh_entry *entry);
/* Somebody else places the seat, because of `why` (copied); NULL: nobody does any longer. */
void vh_entry_hands_off(struct vh_entry *entry, struct vh_seat seat, const char *why);

const char *vh_entry_name(const struct vh_entry *entry);
/* One of its vCPUs, as a target. */
struct vh_target vh_entry_vcpu(const struct vh_entry *entry, const struct vh_vcpu *vcpu);
/* The NUMA nodes of its memory, by libvirt's word or else QEMU's; NULL: not known. */
const struct vh_cpuset *vh_entry_nodes(const struct vh_entry *entry);
/* Why the seat is not ours to place; NULL: it is. */
const char *vh_entry_off(const struct vh_entry *entry, struct vh_seat seat);
