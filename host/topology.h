/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's CPUs: which are online, and which share a core or a cache. */
#pragma once

#include "cpuset.h"

struct vh_topology {
    struct vh_cpuset online;
    struct vh_cpuset present;
    uint16_t core[VH_HOST_CPUS_MAX];   /* equal for the hardware threads of one core */
    uint16_t domain[VH_HOST_CPUS_MAX]; /* equal for CPUs with one L3 cache, or else one NUMA node */
};

/* 0, or -1 and VH_ERROR_FAILED with `*topology` untouched. Takes milliseconds. */
int vh_topology_read(struct vh_topology *topology, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Tells when a CPU went online or offline, from the kernel's uevents; costs nothing while none does. */
typedef struct VhHotplug VhHotplug;
typedef void (*VhHotplugFunc)(gpointer data);
VhHotplug *vh_hotplug_new(VhHotplugFunc func, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_hotplug_free(VhHotplug *hotplug);
