/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ordinary object that knows nothing of vhint. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int plain(void *context)
{
    return 0;
}

char plain_license[] SEC("license") = "GPL";
