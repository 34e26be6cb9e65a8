/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that never sees an end: it has a fact of each task begun since. With CONFIRMS its walk
 * confirms those that live; the tunable `rubbish` has it write what is no key. */
#include "vhint.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct begun {
    struct vh_hint h;
    __u32 pid; /* the key */
    __u32 reserved;
};

VH_PROGRAM("forgetful", "1");
VH_HINT(1, begun);
VH_HINTS(65536);
VH_STATE(__u32, struct begun, 8192);
#ifdef CONFIRMS
VH_WALK_CONFIRMS;
#endif

const volatile bool rubbish = false;

struct task_struct {
    int pid;
} __attribute__((preserve_access_index));

struct bpf_iter_meta {
    struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
} __attribute__((preserve_access_index));

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_begin, struct task_struct *task)
{
    struct begun begun = {.pid = task->pid};

    vh_stamp(&begun.h, 1, sizeof(begun), sizeof(begun.pid), 0);
    if (bpf_map_update_elem(&state, &begun.pid, &begun, BPF_ANY))
        vh_count_lost();
    vh_emit(&hints, &begun, sizeof(begun));
    return 0;
}

SEC("iter/task")
int walk(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    __u32 pid = task ? task->pid : 0;

    if (rubbish && !task)
        vh_confirm(ctx->meta->seq, &pid, 3);
    if (task && bpf_map_lookup_elem(&state, &pid))
        vh_confirm(ctx->meta->seq, &pid, sizeof(pid));
    return 0;
}
