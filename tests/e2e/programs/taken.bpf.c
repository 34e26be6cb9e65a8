/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fact of each thread whose fact of the affinity program's the injector has taken out, until the
 * thread executes its last instruction: so a fact that was taken out of one that was dead already
 * stays. */
#include "vhint.bpf.h"

#include <bpf/bpf_tracing.h>

struct taken {
    struct vh_hint h;
    __u32 pid; /* the key */
    __u32 reserved;
};

VH_PROGRAM("taken", "1");
VH_HINT(1, taken);
VH_HINTS(65536);
VH_STATE(__u32, struct taken, 4096);

__u64 count; /* of facts that were taken out */

static __always_inline void tell(__u32 pid, __u16 flags)
{
    struct taken fact = {.pid = pid};

    vh_stamp(&fact.h, 1, sizeof(fact), sizeof(fact.pid), flags);
    if (flags & VH_HINT_GONE)
        bpf_map_delete_elem(&state, &pid);
    else if (bpf_map_update_elem(&state, &pid, &fact, BPF_ANY))
        vh_count_lost();
    vh_emit(&hints, &fact, sizeof(fact));
}

/* The injector itself calls it for nothing else but sweeping; its threads that end have the
 * affinity program call it, for themselves. */
SEC("fentry/htab_map_delete_elem")
int BPF_PROG(on_take, void *map, __u32 *key)
{
    __u64 current = bpf_get_current_pid_tgid();
    __u32 pid = 0;

    if (current >> 32 != vh_injector || bpf_probe_read_kernel(&pid, sizeof(pid), key) ||
        pid == (__u32)current)
        return 0;
    __sync_fetch_and_add(&count, 1);
    tell(pid, 0);
    return 0;
}

SEC("fentry/do_task_dead")
int BPF_PROG(on_death)
{
    __u32 pid = (__u32)bpf_get_current_pid_tgid();

    if (bpf_map_lookup_elem(&state, &pid))
        tell(pid, VH_HINT_GONE);
    return 0;
}
