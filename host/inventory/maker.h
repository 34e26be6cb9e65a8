/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the maker of a guest (libvirt) does for it, and is told of it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/cpuset.h"
#include "config/guest.h"
#include "inventory/seat.h"

struct vh_qmp_funcs; /* qemu/qmp.h */
struct vh_qga_job;   /* qemu/qga.h */
struct _GCancellable;

/* A maker has all of these. */
struct vh_maker {
    /* Opens the monitor. */
    struct VhQmp *(*open_monitor)(const struct vh_config_guest *guest,
                                  const struct vh_qmp_funcs *funcs, void *data);
    /* What a seat is pinned to by us, told after the fact and again and again; NULL: nothing. */
    void (*mirror)(const struct vh_config_guest *guest, struct vh_seat seat,
                   const struct vh_cpuset *cpus);
    /* Has it done all that it was told so of a seat? Until then it may set what was wanted a while
     * ago. */
    bool (*settled)(const struct vh_config_guest *guest, struct vh_seat seat);
    /* Sets a balloon's size in bytes (`name` "") or the requested-size of the virtio-mem device
     * `name`; `done` is called once, later, with what went wrong, else NULL. */
    void (*set_memory)(const struct vh_config_guest *guest, const char *name, guint64 bytes,
                       void (*done)(const char *problem, void *data), void *data);
    /* As vh_qga_use_socket, by a road of its own. Returns NULL, or (borrowed) why it cannot now. */
    const char *(*use_agent)(const struct vh_config_guest *guest, struct _GCancellable *cancellable,
                             const struct vh_qga_job *job, void *data);
    /* Notes what goes with the guest wherever it migrates (copied). */
    void (*carry)(const struct vh_config_guest *guest, const char *text);
    /* Seats that hands were held off are ours again. */
    void (*retake)(const struct vh_config_guest *guest);
};
