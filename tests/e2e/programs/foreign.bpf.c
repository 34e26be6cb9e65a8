/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tools bring that vhint's own programs do not: hooks that not every kernel has, a map that
 * their loader sizes, samples at a rate, a map pinned by name. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "GPL";

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, int);
    __type(value, long);
#ifdef UNSIZED
    __uint(max_entries, 0);
#else
    __uint(max_entries, 16);
#endif
    __uint(pinning, LIBBPF_PIN_BY_NAME);
} counts SEC(".maps");

/* Its own loader says how many, and how deep. */
#ifdef STACKS
struct {
    __uint(type, BPF_MAP_TYPE_STACK_TRACE);
    __type(key, int);
#if STACKS
    __uint(value_size, STACKS);
#endif
} stacks SEC(".maps");

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    bpf_get_stackid(ctx, &stacks, 0);
    return 0;
}
#endif

static __always_inline int count(int key)
{
    long one = 1, *known = bpf_map_lookup_elem(&counts, &key);

    if (known)
        __sync_fetch_and_add(known, 1);
    else
        bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(there, void *task)
{
    return count(1);
}

#ifdef LACKING
SEC("kprobe/no_such_function_at_all")
int kprobe_missing(void *ctx)
{
    return count(2);
}

SEC("tp_btf/no_such_tracepoint")
int BPF_PROG(tracepoint_missing, void *task)
{
    return count(3);
}

SEC("fentry/no_such_function_either")
int BPF_PROG(function_missing)
{
    return count(4);
}

SEC("tracepoint/nowhere/nothing")
int event_missing(void *ctx)
{
    return count(5);
}

SEC("xdp")
int no_place(struct xdp_md *ctx)
{
    return XDP_PASS;
}
#endif

#ifdef SAMPLES
SEC("perf_event")
int sample(void *ctx)
{
    return count(6);
}
#endif

#ifdef MULTI
SEC("kprobe.multi/do_nanosleep")
int multi(void *ctx)
{
    return count(7);
}
#endif
