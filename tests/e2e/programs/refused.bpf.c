/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Uses a map's value without asking whether it is there: no verifier lets this pass. */
#include "vhint.bpf.h"

#include <bpf/bpf_tracing.h>

struct note {
    struct vh_hint h;
    __u32 value;
};

#ifndef NAME
#define NAME "refused"
#endif
VH_PROGRAM(NAME, "1.0");
VH_HINT(1, note);
VH_HINTS(4096);
VH_STATE(__u32, struct note, 16);

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec)
{
    __u32 key = 1;
    struct note *note = bpf_map_lookup_elem(&state, &key);

    note->value = 1;
    return 0;
}
