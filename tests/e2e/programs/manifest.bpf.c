/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sound program with a manifest given on the compiler's command line. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "wire.h"

const char manifest[] SEC(".vhint") = MANIFEST;

struct note {
    struct vh_hint h;
    __u32 value;
};
const struct note *kind SEC(".vhint.kinds") = 0;

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
