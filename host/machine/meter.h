/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads one thread's CPU time again and again, by descriptors that stay open: a system call each
 * time, and another one if it has run since. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/thread-id.h"

struct vh_meter {
    bool open;
    int schedstat; /* -1: the kernel has none */
    int stat;
    guint64 time; /* when it was read last, in ns */
    int cpu;      /* that it ran on last; -1: not read yet */
};

/* 0 or -errno: -ESRCH when the thread is gone. All is zeros before, and stays so on failure. */
int vh_meter_open(struct vh_meter *meter, const struct vh_thread_id *thread);
/* Nothing happens if it is not open. */
void vh_meter_close(struct vh_meter *meter);

/* Reads it. False: the thread is gone. */
bool vh_meter_read(struct vh_meter *meter);
