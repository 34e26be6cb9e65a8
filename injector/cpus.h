/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which CPUs this guest has, and the APIC id of each: how the host finds the vCPU behind a guest
 * CPU. */
#pragma once

#include <stdint.h>

#include "wire.h"

struct vh_cpu_map {
    uint32_t possible;             /* CPUs 0 to possible - 1, at most VH_CPUS_MAX */
    uint32_t apic_id[VH_CPUS_MAX]; /* VH_APIC_UNKNOWN until the CPU has been online once */
    uint8_t online[VH_CPUS_MAX];
};

/* Reads the files below `sys` and `proc` ("/sys", "/proc"). An offline CPU keeps the APIC id it was
 * last seen with. 0 or -errno, the map untouched then. Zero the map before the first call. */
int vh_cpus_read(struct vh_cpu_map *map, const char *sys, const char *proc);

/* As in struct vh_session_ops. */
uint32_t vh_cpus_list(const struct vh_cpu_map *map, struct vh_cpu cpus[VH_CPUS_MAX]);

/* The highest CPU of a list as in cpuset(7), "0-3,8", plus one; 0 for none or nonsense. */
uint32_t vh_cpus_count(const char *list);
