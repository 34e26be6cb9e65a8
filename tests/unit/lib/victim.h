/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* A thread that waits to be ended. */
struct victim {
    GThread *thread;
    GMutex lock;
    GCond cond;
    pid_t tid;
    bool end;
};

void victim_start(struct victim *victim);
/* May be called twice. */
void victim_end(struct victim *victim);
