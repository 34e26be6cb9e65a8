/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An object of very many kprobes, as tools that trace a whole subsystem are: 60, or 180 with
 * LARGE, on ten functions that are seldom called. With LACKING one more is on a function that no
 * kernel has, and stands last. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

#define PROBE(function, number) \
    SEC("kprobe/" #function) \
    int function##_##number(void *ctx) \
    { \
        return 0; \
    }

#define TEN(number) \
    PROBE(do_nanosleep, number) \
    PROBE(do_task_dead, number) \
    PROBE(wake_up_new_task, number) \
    PROBE(set_user_nice, number) \
    PROBE(sched_setscheduler_nocheck, number) \
    PROBE(do_exit, number) \
    PROBE(kernel_clone, number) \
    PROBE(vfs_fsync, number) \
    PROBE(ksys_sync, number) \
    PROBE(do_syslog, number)

#define SIXTY(digit) \
    TEN(digit##0) TEN(digit##1) TEN(digit##2) TEN(digit##3) TEN(digit##4) TEN(digit##5)

SIXTY(1)
#ifdef LARGE
SIXTY(2)
SIXTY(3)
#endif

#ifdef LACKING
PROBE(no_such_function_at_all, 0)
#endif
