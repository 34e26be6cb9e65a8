/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What calls.bpf.c tells calls.c. */
#pragma once

#include <linux/types.h>

#define CALL_SETSCHEDULER 144 /* x86-64 */
#define CALL_SETAFFINITY 203

struct call {
    __u64 time; /* CLOCK_MONOTONIC, in ns, after the call */
    __u32 number;
    __u32 caller, target; /* threads */
    __s32 result;
    __u32 policy; /* of CALL_SETSCHEDULER */
    __u32 reserved;
    __u64 mask[16]; /* of CALL_SETAFFINITY */
    char comm[16];  /* the caller's */
};
