/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few kernel structures that the guest programs read, as far as they read them.
 *
 * CO-RE finds each field in the running kernel's own layout, so order and neighbours here mean
 * nothing. */
#pragma once

#include <linux/types.h>

#define PF_EXITING 0x00000004u
#define PF_KTHREAD 0x00200000u

#define TASK_COMM_LEN 16

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cpumask {
    unsigned long bits[1]; /* the kernel's NR_CPUS bits: ask bpf_core_field_size how many bytes */
};

struct rq {
    unsigned int nr_running; /* with the one that runs */
    unsigned long long clock;
};

struct cfs_rq {
    struct rq *rq;
};

struct sched_entity {
    struct cfs_rq *cfs_rq; /* that it is, or would be, queued in */
};

struct sched_info {
    unsigned long long last_queued; /* when it began to wait for its CPU, by the run queue's clock;
                                       0: it does not */
};

struct task_struct {
    unsigned int flags;
    int pid;
    int tgid;
    int prio;     /* in force: below 100 real-time, 120 for nice 0 */
    int wake_cpu; /* the one it was last put on */
    struct sched_entity se;
    struct sched_info sched_info;
    struct cpumask cpus_mask; /* what was asked for; cpus_ptr is the mask in force while migration
                                 is disabled */
    char comm[TASK_COMM_LEN];
};

struct bpf_iter_meta {
    struct seq_file *seq; /* where the walk writes */
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task; /* NULL at the end of the walk */
};

#pragma clang attribute pop
