/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A newcomer's program: its iterator returns 1, which makes the kernel show it the same task for
 * ever. Its tracepoint is fine, and keeps `state`. With SLOW the iterator returns 0, but takes
 * longer for each task than anybody waits for; `rounds` says how long. */
#include "vhint.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct begun {
    struct vh_hint h;
    __u32 pid; /* the key */
    __u32 reserved;
};

VH_PROGRAM("stubborn", "1");
VH_HINT(1, begun);
VH_HINTS(65536);
VH_STATE(__u32, struct begun, 8192);

struct task_struct {
    int pid;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
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

#ifdef SLOW
const volatile __u32 rounds = 1;

static long step(__u32 i, void *sum)
{
    *(__u64 *)sum += bpf_ktime_get_ns();
    return 0;
}
#endif

SEC("iter/task")
int find_all(struct bpf_iter__task *ctx)
{
#ifdef SLOW
    __u64 sum = 0;

    bpf_loop(rounds, step, &sum, 0);
    return 0;
#else
    return ctx->task != 0;
#endif
}
