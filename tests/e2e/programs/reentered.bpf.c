/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is passed over for certain: what it hooks is what it calls. It never has a hint of its own. A
 * kernel before 5.12 runs it once more instead, within itself: then it counts a loss itself, and
 * stops, or the stack would overflow. With PROBE it is a kprobe, which every kernel passes over. */
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

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} inside SEC(".maps");

#ifdef PROBE
SEC("kprobe/htab_map_delete_elem")
int on_delete(void *ctx)
#else
SEC("fentry/htab_map_delete_elem")
int BPF_PROG(on_delete)
#endif
{
    __u32 key = 0, *depth = bpf_map_lookup_elem(&inside, &key);

    if (!depth)
        return 0;
    if (*depth > 0) {
        vh_count_lost();
        return 0;
    }
    ++*depth;
    bpf_map_delete_elem(&mine, &key);
    --*depth;
    return 0;
}
