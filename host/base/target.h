/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom an action is for. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* In the place of a vCPU's index, for threads that are none. */
#define VH_TARGET_EMULATOR 0xfffffff0u
#define VH_TARGET_IOTHREAD 0xfffffff1u
#define VH_TARGET_VHOST 0xfffffff2u
#define VH_TARGET_GUEST 0xfffffff3u /* all of the guest; its first vCPU's thread stands for it */

/* A thread that leaves what was changed for it is followed by the first round that comes so long
 * after the last look. */
#define VH_TARGET_LEFT_US (G_USEC_PER_SEC / 2)

struct vh_target {
    const char *guest; /* borrowed */
    unsigned vcpu;     /* QEMU's index, or one of the above */
    pid_t thread;
    struct VhRamDevice *ram; /* memory: by what; borrowed. NULL for others */
};
