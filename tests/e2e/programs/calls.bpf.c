/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the host, not for guests: each call of any process that sets a thread's CPU mask or its
 * scheduling policy, when it has returned. calls.c prints them. */
#include <asm/ptrace.h>
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "calls.h"

char _license[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 22);
} calls SEC(".maps");

__u64 lost;

SEC("raw_tp/sys_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
    struct pt_regs regs;
    struct call *call;

    if (bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]))
        return 0;
    if (regs.orig_rax != CALL_SETAFFINITY && regs.orig_rax != CALL_SETSCHEDULER)
        return 0;
    call = bpf_ringbuf_reserve(&calls, sizeof(*call), 0);
    if (!call) {
        __sync_fetch_and_add(&lost, 1);
        return 0;
    }
    __builtin_memset(call, 0, sizeof(*call));
    call->time = bpf_ktime_get_ns();
    call->number = (__u32)regs.orig_rax;
    call->caller = (__u32)bpf_get_current_pid_tgid();
    call->target = (__u32)regs.rdi;
    call->result = (__s32)ctx->args[1];
    if (!call->target)
        call->target = call->caller;
    bpf_get_current_comm(call->comm, sizeof(call->comm));
    if (call->number == CALL_SETSCHEDULER)
        call->policy = (__u32)regs.rsi;
    else
        bpf_probe_read_user(call->mask,
                            regs.rsi < sizeof(call->mask) ? (__u32)regs.rsi : sizeof(call->mask),
                            (void *)regs.rdx);
    bpf_ringbuf_submit(call, 0);
    return 0;
}
