/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ordinary CO-RE object that knows nothing of vhint's contract. */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
    int pid;
} __attribute__((preserve_access_index));

int last_pid;

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
    last_pid = task->pid;
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
