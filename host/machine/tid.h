/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread of the host: who it is, and what actuators need to know of it.
 *
 * A number that somebody says is looked up among the threads of the process that he may speak for,
 * and the thread's start is noted with it (vh_tid_identify). Whoever changes the thread later
 * checks that it is the one with that start (vh_tid_open, vh_tid_check, vh_tid_alive). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cpuset.h"
#include "base/thread-id.h"

#define VH_TID_KERNEL 0x00200000u /* PF_KTHREAD: a thread of the kernel's own */
#define VH_TID_WORKER 0x00004000u /* PF_USER_WORKER, 6.4: the kernel's, in a process */

/* Of proc(5)'s stat. */
struct vh_tid_stat {
    char name[16];
    pid_t parent;
    unsigned flags; /* VH_TID_* and others */
    uint64_t ticks; /* CPU time that it has used */
    uint64_t start; /* in clock ticks since boot */
    int cpu;        /* that it last ran on */
};

/* Takes it from the text of that file. 0, or -EBADMSG when that is something else. */
int vh_tid_parse_stat(const char *text, struct vh_tid_stat *stat);
/* So many ticks, in ns. */
uint64_t vh_tid_ns(uint64_t ticks);
/* Reads `proc` (/proc but for tests) of a thread of `process`. 0 or -errno: -ENOENT or -ESRCH when
 * that process has none with the number. */
int vh_tid_stat(const char *proc, pid_t process, pid_t thread, struct vh_tid_stat *stat);

/* Which thread `process` has under that number now. 0 or -errno, as above. */
int vh_tid_identify(const char *proc, pid_t process, pid_t thread, struct vh_thread_id *id);
/* Is it there still, and is it the same? 0; -ESRCH: its number is another's by now; or -errno. */
int vh_tid_check(const char *proc, const struct vh_thread_id *id);

/* Opens what is readable as long as this very thread lives. An fd to close, or -1 and errno (ESRCH:
 * its number is another's by now). */
int vh_tid_open(const struct vh_thread_id *id);
bool vh_tid_alive(int fd);

/* Reads /proc/`thread`/`file` into `text`. 0 or -errno. */
int vh_tid_read(pid_t thread, const char *file, char *text, size_t size);

/* Now, in clock ticks since boot, as threads' starts are told. */
uint64_t vh_tid_now(void);

/* The process that a thread is of; 0: it is gone. */
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
