/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a VhVirt, for virt.c, jobs.c and connect.c only: its queues of jobs, its workers,
 * and the messages from other threads to the main loop. */
#pragma once

#include "io/pathwatch.h"
#include "libvirt/virt.h"

struct VhVirt {
    gint refs;        /* atomic */
    gint outstanding; /* atomic: jobs that are not done */
    char *uri;
    GThreadPool *pool;
    void (*open)(VhVirt *virt); /* connects; it blocks: in a worker */

    GMutex lock;              /* guards the next three */
    GHashTable *queues;       /* key -> jobs */
    virConnectPtr connection; /* NULL: none */
    bool closed;              /* freed by its owner, though workers may have references */

    /* the main loop's only */
    const struct vh_virt_funcs *funcs;
    gpointer data;
    char *problem;
    bool connecting;
    guint tries;
    guint timer;
    VhPathWatch *watch;
    char *socket; /* NULL: not local */
    guint awaiting;
};

VhVirt *vh_virt_ref(VhVirt *virt);
void vh_virt_unref(gpointer virt);

/* What another thread has to say on the main loop. */
struct vh_virt_message {
    VhVirt *virt;
    void (*func)(VhVirt *virt, struct vh_virt_message *message);
    char *uuid;
    char *text;
    char *details;
    int event;
    int detail;
    virConnectPtr connection;
    struct job *job; /* jobs.c's */
};

/* The first part of a new VhVirt, whose `open` is set: one reference, no job yet. */
void vh_virt_begin_jobs(VhVirt *virt);
/* Has a worker call `open`. */
void vh_virt_push_open(VhVirt *virt);

struct vh_virt_message *
vh_virt_message_new(VhVirt *virt, void (*func)(VhVirt *virt, struct vh_virt_message *message));
/* Messages arrive in the order in which they are posted; not at all once the virt is freed. Takes
 * `message`. */
void vh_virt_post(struct vh_virt_message *message);
/* There is a connection: jobs that waited for one may run. */
void vh_virt_kick(VhVirt *virt);
