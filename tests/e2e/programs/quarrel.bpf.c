/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hostile: whenever a task called "dd" makes a system call, its CPU is urgent, and with
 * `contradicts` it is not so at the next one. */
#include "vhint.bpf.h"

struct quarrel {
    struct vh_hint h;
    __u32 cpu; /* the key */
    bool urgent;
    __u8 reserved[3];
};

VH_PROGRAM("quarrel", "1");
VH_HINT(1, quarrel);
VH_HINTS(64 * 1024);
VH_STATE(__u32, struct quarrel, VH_CPUS_MAX);

const volatile bool contradicts = true;

SEC("raw_tp/sys_enter")
int on_call(void *ctx)
{
    struct quarrel fact = {.cpu = bpf_get_smp_processor_id(), .urgent = true};
    const struct quarrel *last;
    char comm[16] = {};

    bpf_get_current_comm(comm, sizeof(comm));
    if (comm[0] != 'd' || comm[1] != 'd' || comm[2])
        return 0;
    last = bpf_map_lookup_elem(&state, &fact.cpu);
    if (last && contradicts)
        fact.urgent = !last->urgent;
    vh_stamp(&fact.h, 1, sizeof(fact), sizeof(fact.cpu), 0);
    if (bpf_map_update_elem(&state, &fact.cpu, &fact, BPF_ANY))
        vh_count_lost();
    vh_emit(&hints, &fact, sizeof(fact));
    return 0;
}
