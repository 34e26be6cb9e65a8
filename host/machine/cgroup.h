/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a thread's control group lets it run on, cgroups v1 and v2. Source: cgroups(7), cpuset(7),
 * the kernel's admin-guide/cgroup-v2. */
#pragma once

#include <sys/types.h>

#include "base/cpuset.h"

/* The effective CPUs of the thread's cpuset and its path below the hierarchy (g_free() it). `proc`
 * and `cgroup` are /proc and /sys/fs/cgroup but for tests. false: there is no cpuset, or it cannot
 * be seen from here. */
bool vh_cgroup_cpus(const char *proc, const char *cgroup, pid_t thread, struct vh_cpuset *cpus,
                    char **path);
