/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread of the host, by its number: what actuators need to know of it. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cpuset.h"

/* Opens what is readable as long as this very thread lives. An fd to close, or -1 and errno. */
int vh_tid_open(pid_t thread);
bool vh_tid_alive(int fd);

/* Reads /proc/`thread`/`file` into `text`. 0 or -errno. */
int vh_tid_read(pid_t thread, const char *file, char *text, size_t size);

/* When it was started, in clock ticks since boot: tells it from a later one with its number. 0 or
 * -errno. */
int vh_tid_start(pid_t thread, uint64_t *start);

/* Is it still the thread that was started at `start`? 0; -ESRCH: its number is another's by now; or
 * -errno. */
int vh_tid_check(pid_t thread, uint64_t start);

/* The process that it is of; 0: it is gone. */
pid_t vh_tid_process(pid_t thread);

/* CPU time that it has used, in ns, a few ms late at most (10 ms where the kernel has no
 * schedstat); 0: it is gone.
 */
uint64_t vh_tid_cpu_time(pid_t thread);
/* The CPU that it last ran on; -1: not known. */
int vh_tid_cpu(pid_t thread);

/* The host CPUs that a thread is allowed on now; false: it is gone. */
bool vh_tid_cpus(pid_t thread, struct vh_cpuset *cpus);

/* Says that `what` failed with errno `number`: VH_ERROR_NOT_CONNECTED when the thread is gone,
 * VH_ERROR_INVALID_ARGUMENT for EINVAL, else VH_ERROR_FAILED. Returns -1. */
int vh_tid_fail(GError **error, int number, const char *what, pid_t thread);
