/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which thread of the host is meant. A thread's number alone says little: it may be another
 * process's by the time that it is used, and whoever names it may have waited for that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vh_thread_id {
    pid_t process;  /* that it is of: /proc/PROCESS/task/THREAD */
    pid_t thread;   /* of a process's first thread the same number; 0: none */
    uint64_t start; /* when it was started, in clock ticks since boot: never the same for two
                       threads that have one number after another */
};

static inline bool vh_thread_id_equal(const struct vh_thread_id *a, const struct vh_thread_id *b)
{
    return a->process == b->process && a->thread == b->thread && a->start == b->start;
}
