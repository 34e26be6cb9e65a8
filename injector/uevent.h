/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own device events: no udev needed. */
#pragma once

#include <stdbool.h>

/* What may have changed since the last look. */
struct vh_uevents {
    bool cpus;
    bool ports;
};

/* A non-blocking descriptor on which the kernel's uevents arrive, or -errno. */
int vh_uevent_open(void);
/* Takes all events that wait. 0 or -errno; when events were lost, everything counts as changed. */
int vh_uevent_read(int fd, struct vh_uevents *events);
