/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device by which one guest's memory is changed while it runs: virtio-mem where it has one,
 * else its balloon.
 *
 * All sizes are bytes of all the guest's memory: what it was started with, less the balloon or with
 * what virtio-mem has plugged in. Of several virtio-mem devices the first in QEMU's list is used.
 * Nothing here waits: what is asked and set goes through the monitor, or for guests of an inventory
 * that has a road of its own (struct vh_maker), by that. Sources: QEMU's query-balloon,
 * balloon, query-memory-devices, query-memory-size-summary, requested-size of virtio-mem. */
#pragma once

#include <stdbool.h>

#include "config/guest.h"
#include "qemu/qmp.h"

enum vh_ram_kind { VH_RAM_UNKNOWN, VH_RAM_NONE, VH_RAM_BALLOON, VH_RAM_VIRTIO_MEM };
const char *vh_ram_kind_text(enum vh_ram_kind kind);

struct vh_ram_state {
    enum vh_ram_kind kind; /* UNKNOWN: QEMU has not been asked, or not answered */
    guint64 has;           /* what the guest has, or was last told to have by us */
    guint64 most;          /* more than that is not possible; 0: not known */
    const char *problem;   /* "" for none; borrowed until the next call. NONE: why there is none */
};

/* Reference-counted, as commands are under way after the guest has gone. */
typedef struct VhRamDevice VhRamDevice;

/* `changed`: the state did. `config` is borrowed until vh_ram_device_leave. */
VhRamDevice *vh_ram_device_new(const struct vh_config_guest *config, void (*changed)(gpointer data),
                               gpointer data);
VhRamDevice *vh_ram_device_ref(VhRamDevice *device);
void vh_ram_device_unref(VhRamDevice *device);
/* The guest goes: nothing is called or asked any more. */
void vh_ram_device_leave(VhRamDevice *device);

/* There is a monitor (borrowed until the next call); NULL: no longer. */
void vh_ram_device_monitor(VhRamDevice *device, VhQmp *monitor);

struct vh_ram_state vh_ram_device_state(const VhRamDevice *device);
/* Asks QEMU, unless what is known is fresh: the answer calls changed(). Returns whether it is. */
bool vh_ram_device_need(VhRamDevice *device);

/* Has QEMU not answered to a change yet? */
bool vh_ram_device_busy(const VhRamDevice *device);

/* Called once: `problem` NULL: QEMU took it. */
typedef void (*VhRamDone)(const char *problem, gpointer data);

/* Asks for `bytes`, rounded to what the device can; how it went is told later. 0; or -1 and
 * VH_ERROR_NOT_CONNECTED, VH_ERROR_REFUSED when there is no device: `done` is then not called. */
int vh_ram_device_set(VhRamDevice *device, guint64 bytes, VhRamDone done, gpointer data,
                      GError **error);
/* As above, for what a former daemon is to be cleaned up after: the device need not be known here.
 * `name` is virtio-mem's, "" for the balloon. */
int vh_ram_device_restore(VhRamDevice *device, guint64 value, const char *name, VhRamDone done,
                          gpointer data, GError **error);
/* What restore is given to put back what is now; `name` is borrowed likewise. */
guint64 vh_ram_device_value(const VhRamDevice *device, const char **name);
/* QEMU's own socket, by which somebody who has no guest can do the same (vh_ram_command); "": there
 * is none, or its guest is gone. Borrowed from the configuration. */
const char *vh_ram_device_road(const VhRamDevice *device);

/* QEMU's command that sets a device to `value`, and what goes with it, the caller's. `name` as
 * above. */
const char *vh_ram_command(const char *name, guint64 value, JsonObject **arguments);
