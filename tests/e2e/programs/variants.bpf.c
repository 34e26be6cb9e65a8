/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Variants: of `first` the second has a hook, of `second` the first; of `fourth` both have one, and
 * the second of them stands in a section that began before the first's; with NONE, of `third` none
 * has. The counters tell which ran, through hints that are events. */
#include "vhint.bpf.h"

#include <bpf/bpf_tracing.h>

struct ran {
    struct vh_hint h;
    __u32 variant;
    __u32 tunable;
};

VH_PROGRAM("variants", "1.0");
VH_HINT(1, ran);
VH_HINTS(65536);

enum colour { RED = 3, GREEN = 5 };

const volatile __u8 small = 1;
const volatile __s16 negative = -1;
const volatile bool flag = false;
const volatile enum colour colour = RED;
const volatile char word[8] = "none";

static __always_inline int tell(__u32 variant)
{
    struct ran ran = {.variant = variant};

    ran.tunable = small + (flag ? 1000 : 0) + colour * 10000 + (word[0] == 'y' ? 1000000 : 0) +
                  (__u32)-negative * 10000000;
    vh_stamp(&ran.h, 1, sizeof(ran), 0, 0);
    vh_emit(&hints, &ran, sizeof(ran));
    return 0;
}

SEC("fentry/no_such_function_anywhere")
int BPF_PROG(first___missing)
{
    return tell(1);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(first___exec)
{
    return tell(2);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(second___exit)
{
    return tell(3);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(second___fork)
{
    return tell(4);
}

SEC("fentry/do_task_dead")
int BPF_PROG(fourth___dead)
{
    return tell(5);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(fourth___exec)
{
    return tell(6);
}

#ifdef NONE
SEC("tp_btf/no_such_tracepoint")
int BPF_PROG(third___a)
{
    return 0;
}

SEC("kprobe/no_such_function_anywhere")
int BPF_PROG(third___b)
{
    return 0;
}
#endif
