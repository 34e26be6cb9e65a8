/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each time that the command "true" is run, many hints at once: events, or with FACTS one of each
 * key. */
#include "vhint.bpf.h"

#define MANY 700

struct drop {
    struct vh_hint h;
    __u32 id;
    char bulk[996];
};

VH_PROGRAM("flood", "1");
VH_HINT(1, drop);
VH_HINTS(1 << 20);
#ifdef FACTS
VH_STATE(__u32, struct drop, MANY);
#endif

/* Where it is filled: on the stack the verifier would keep a copy for each of the many. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct drop);
} scratch SEC(".maps");

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    char comm[16] = {};
    __u32 zero = 0;
    struct drop *drop = bpf_map_lookup_elem(&scratch, &zero);

    bpf_get_current_comm(comm, sizeof(comm));
    if (!drop || comm[0] != 't' || comm[1] != 'r' || comm[2] != 'u' || comm[3] != 'e')
        return 0;
    for (__u32 i = 0; i < MANY; i++) {
        drop->id = i;
#ifdef FACTS
        vh_stamp(&drop->h, 1, sizeof(*drop), sizeof(drop->id), 0);
        if (bpf_map_update_elem(&state, &drop->id, drop, BPF_ANY))
            vh_count_lost();
#else
        vh_stamp(&drop->h, 1, sizeof(*drop), 0, 0);
#endif
        vh_emit(&hints, drop, sizeof(*drop));
    }
    return 0;
}
