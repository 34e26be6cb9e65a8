/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connection to libvirtd: its events, and jobs for it.
 *
 * Calls of libvirt's block for milliseconds to seconds, and one for a guest whose monitor hangs may
 * never return. So they are made in jobs, which worker threads run: those of one key (a domain) one
 * after another, those of different keys side by side, VH_VIRT_WORKERS at most. Everything else
 * here is called, and every function given is called, on the main loop's thread.
 *
 * When libvirtd goes, jobs wait for it to come back, and what they are for is none the worse: they
 * are run again from their beginning. While it is away the connection is tried again whenever its
 * socket is made anew and, ever more rarely, every VH_VIRT_RETRY_MAX ms. A connection that stands
 * costs no wake-ups. */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>

#define VH_VIRT_WORKERS 16
#define VH_VIRT_RETRY_MIN 100u /* ms */
#define VH_VIRT_RETRY_MAX 30000u

typedef struct VhVirt VhVirt;

struct vh_virt_funcs {
    /* Connected; from now on all events arrive. */
    void (*up)(gpointer data);
    void (*down)(const char *why, gpointer data);
    /* A domain came, went or changed its state: virDomainEventType and its detail. */
    void (*lifecycle)(const char *uuid, int event, int detail, gpointer data);
    /* The live XML of a domain may have changed: a device, metadata. */
    void (*changed)(const char *uuid, gpointer data);
    /* A pin was set through libvirt: `what` is "vcpupin0", "emulatorpin", "iothreadpin1", ... */
    void (*pinned)(const char *uuid, const char *what, const char *cpus, gpointer data);
    /* An event of QEMU's monitor; `details` is JSON, NULL for none. */
    void (*monitor)(const char *uuid, const char *event, const char *details, gpointer data);
};

/* Begins to connect to `uri`. `funcs` is borrowed. */
VhVirt *vh_virt_new(const char *uri, const struct vh_virt_funcs *funcs, gpointer data);
/* Turns the main loop until all jobs are done or `ms` have passed. */
void vh_virt_drain(VhVirt *virt, guint ms);
/* Waits for nobody: jobs that libvirt holds up end with the process. */
void vh_virt_free(VhVirt *virt);

/* "" when connected, else why not. Borrowed. */
const char *vh_virt_problem(const VhVirt *virt);

struct vh_virt_job {
    bool local; /* needs no connection: does not wait for one, and is given NULL */
    /* In a worker thread. false: the call failed because the connection did (vh_virt_lost), do it
     * again later. */
    bool (*work)(virConnectPtr connection, gpointer data);
    /* On the main loop, unless the connection object has been freed meanwhile. */
    void (*done)(gpointer data);
    GDestroyNotify free;
};

/* `job` is borrowed and static; `data` is the job's, freed after done or without it. */
void vh_virt_submit(VhVirt *virt, const char *key, const struct vh_virt_job *job, gpointer data);

/* For work(), after a call has failed: was it because the connection is lost? */
bool vh_virt_lost(virConnectPtr connection);
/* For work(): what libvirt says of the last call. g_free() it. */
char *vh_virt_error(void);
