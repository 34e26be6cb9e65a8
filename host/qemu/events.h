/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's events that somebody here listens to: these are asked for on every road to a monitor, and
 * whoever takes them (guest/monitor.c) says what each one means. */
#pragma once

enum vh_qmp_event {
    VH_QMP_PORT_CHANGE,    /* a virtio-serial port was opened or closed in the guest */
    VH_QMP_RESET,          /* the guest has booted anew */
    VH_QMP_SHUTDOWN,       /* it ends */
    VH_QMP_DEVICE_DELETED, /* perhaps a vCPU was unplugged */
    VH_QMP_DEVICE_OST,     /* the guest says what became of a plug */
    VH_QMP_STOP,           /* it stands still */
    VH_QMP_RESUME,
    VH_QMP_MIGRATION, /* it leaves, or does so no longer */
    VH_QMP_EVENT_COUNT
};

/* QEMU's names, then NULL. */
extern const char *const vh_qmp_events[];

/* VH_QMP_EVENT_COUNT: nobody listens to it. */
enum vh_qmp_event vh_qmp_event_find(const char *name);
