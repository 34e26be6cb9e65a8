/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's monitor by way of libvirtd, which is QEMU's only client there.
 *
 * Commands are jobs (virt.h), so they wait while libvirtd is away and are answered once it is back.
 * Source: libvirt's virDomainQemuMonitorCommand. */
#pragma once

#include "libvirt/virt.h"
#include "qemu/qmp.h"

typedef struct VhVirtMonitor VhVirtMonitor;

/* Called when the client is freed. */
typedef void (*VhVirtMonitorFreed)(gpointer data);

/* A client for the domain `uuid`. `funcs` and `data` are vh_qmp_new's. `monitor` gets what the
 * maker reports through; it lives as long as the client. */
VhQmp *vh_virt_monitor_new(VhVirt *virt, const char *uuid, const struct vh_qmp_funcs *funcs,
                           gpointer data, VhVirtMonitorFreed freed, gpointer freed_data,
                           VhVirtMonitor **monitor);

/* The domain runs, as process `process`: commands may be given. To be called again when what was
 * heard of it may be incomplete. */
void vh_virt_monitor_ready(VhVirtMonitor *monitor, const struct vh_thread_id *process);

/* An event of QEMU's; `details` is JSON, NULL for none. */
void vh_virt_monitor_event(VhVirtMonitor *monitor, enum vh_qmp_event event, const char *details);
