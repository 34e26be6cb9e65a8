// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what the kernel counts of events that it did not show to programs: see load.h.
//
// A program is passed over while it runs already on that CPU, or while another one does
// (recursion_misses; from 5.12 on, for all kinds from 6.7 on). A kprobe is passed over while
// another one is handled on that CPU (`missed` of its link; from 6.7 on). No event is counted
// twice: what a kprobe was not called for its program never heard of.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stddef.h>

#include "load.h"

/* struct bpf_link_info of linux/bpf.h as it is from 6.7 on; that of the headers may be older. */
struct link_info {
    __u32 type;
    __u32 id;
    __u32 prog_id;
    union {
        struct {
            __u64 addrs;
            __u32 count;
            __u32 flags;
            __u64 missed;
        } multi;
        struct {
            __u32 type;
            __u64 func_name;
            __u32 name_len;
            __u32 offset;
            __u64 addr;
            __u64 missed;
        } perf;
    };
};

#define LINK_PERF_EVENT 7u /* enum bpf_link_type */
#define LINK_KPROBE_MULTI 8u
#define PERF_KPROBE 3u /* enum bpf_perf_event_type */
#define PERF_KRETPROBE 4u

static_assert(offsetof(struct link_info, multi.missed) == 32 &&
                  offsetof(struct link_info, perf.missed) == 48,
              "as the kernel lays it out");

static uint64_t missed_by(int link)
{
    struct link_info info = {0};
    __u32 size = sizeof(info);

    /* A kernel that knows less fills less. */
    if (bpf_obj_get_info_by_fd(link, &info, &size))
        return 0;
    if (info.type == LINK_KPROBE_MULTI)
        return info.multi.missed;
    if (info.type == LINK_PERF_EVENT &&
        (info.perf.type == PERF_KPROBE || info.perf.type == PERF_KRETPROBE))
        return info.perf.missed;
    return 0;
}

uint64_t vh_loaded_misses(const struct vh_loaded *loaded)
{
    struct bpf_program *p;
    uint64_t misses = 0;

    bpf_object__for_each_program (p, loaded->object) {
        struct bpf_prog_info info = {0};
        __u32 size = sizeof(info);

        if (bpf_program__fd(p) >= 0 &&
            bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size) == 0)
            misses += info.recursion_misses;
    }
    for (uint32_t i = 0; i < loaded->probe_count; i++)
        misses += missed_by(loaded->probes[i]);
    return misses;
}
