/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is passed over for certain: what it hooks is what it calls. It never has a hint of its own. */
#include "vhint.bpf.h"

#include <bpf/bpf_tracing.h>

struct nothing {
    struct vh_hint h;
};

VH_PROGRAM("reentered", "1");
VH_HINT(1, nothing);
VH_HINTS(4096);

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} mine SEC(".maps");

SEC("fentry/htab_map_delete_elem")
int BPF_PROG(on_delete)
{
    __u32 key = 0;

    bpf_map_delete_elem(&mine, &key);
    return 0;
}
