/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fact of a kind that vhint's own programs do not have: which CPU "writes", and how busily. The
 * command "true" sets it for the CPU that it is run on, the command "false" takes it back. */
#include "vhint.bpf.h"

enum phase { IDLE = 0, WRITING = 1 };

struct writer {
    struct vh_hint h;
    __u32 id; /* the key */
    __u32 cpu;
    __u8 busy;
    enum phase phase;
    char name[8];
};

VH_PROGRAM("writer", "1");
VH_HINT(3, writer);
VH_HINTS(16384);
VH_STATE(__u32, struct writer, 8);

const volatile __u32 threshold = 90;

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    struct writer fact = {.id = 1, .busy = threshold, .phase = WRITING, .name = "log"};
    char comm[16] = {};
    bool sets, gone;

    bpf_get_current_comm(comm, sizeof(comm));
    sets = comm[0] == 't' && comm[1] == 'r' && comm[2] == 'u' && comm[3] == 'e';
    gone = comm[0] == 'f' && comm[1] == 'a' && comm[2] == 'l' && comm[3] == 's' && comm[4] == 'e';
    if (!sets && !gone)
        return 0;
    fact.cpu = bpf_get_smp_processor_id();
    vh_stamp(&fact.h, 3, sizeof(fact), sizeof(fact.id), gone ? VH_HINT_GONE : 0);
    if (gone)
        bpf_map_delete_elem(&state, &fact.id);
    else if (bpf_map_update_elem(&state, &fact.id, &fact, BPF_ANY))
        vh_count_lost();
    vh_emit(&hints, &fact, sizeof(fact));
    return 0;
}
