/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stranger's program whose kind has the name, and the fields, of one of vhint's own. The command
 * "true" says that a task is bound to the CPU that it is run on, the command "false" takes it back.
 */
#include "vhint.bpf.h"

struct affinity {
    struct vh_hint h;
    __u32 pid; /* the key */
    __u32 tgid;
    __u32 cpus;
    __u32 reserved;
    __u64 mask[8];
    char comm[16];
};

VH_PROGRAM("claims", "1");
VH_HINT(1, affinity);
VH_HINTS(16384);
VH_STATE(__u32, struct affinity, 8);

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    struct affinity fact = {.pid = 1, .cpus = 1};
    __u32 cpu = bpf_get_smp_processor_id();
    bool sets, gone;

    bpf_get_current_comm(fact.comm, sizeof(fact.comm));
    sets = fact.comm[0] == 't' && fact.comm[1] == 'r' && fact.comm[2] == 'u' && fact.comm[3] == 'e';
    gone = fact.comm[0] == 'f' && fact.comm[1] == 'a' && fact.comm[2] == 'l' && fact.comm[3] == 's';
    if ((!sets && !gone) || cpu > 63)
        return 0;
    fact.mask[0] = 1ull << cpu;
    vh_stamp(&fact.h, 1, sizeof(fact), sizeof(fact.pid), gone ? VH_HINT_GONE : 0);
    if (gone)
        bpf_map_delete_elem(&state, &fact.pid);
    else if (bpf_map_update_elem(&state, &fact.pid, &fact, BPF_ANY))
        vh_count_lost();
    vh_emit(&hints, &fact, sizeof(fact));
    return 0;
}
