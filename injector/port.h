/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The channel's end in this guest: a virtio-serial port, or a UNIX socket in tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Opens the virtio port called `name`, found in sysfs; with no node for it in /dev a private one is
 * made for the moment. A descriptor (non-blocking), -ENODEV when no such port is there yet, -EBUSY
 * when another process has it open, or another -errno. */
int vh_port_find(const char *name);

/* Opens a device or connects to a listening UNIX stream socket. A non-blocking descriptor or
 * -errno. */
int vh_port_open(const char *path);
