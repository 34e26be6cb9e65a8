/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's CPUs, flattened from hwloc into plain arrays: a value that the placement reads and a
 * test can make up.
 *
 * Cores, L3 caches, NUMA nodes and packages are numbered densely from 0, in the order of their
 * lowest CPU; only CPUs and nodes also have the kernel's numbers. A CPU that comes or goes makes a
 * new topology.
 *
 * Invariants:
 *  1. A CPU is online exactly when it has a core, an L3, a node and a package; all others have
 * VH_TOPOLOGY_NONE for each.
 *  2. The CPUs of cores, of L3s, of nodes, and of packages each partition the online CPUs. */
#pragma once

#include "base/cpuset.h"

#define VH_TOPOLOGY_NONE UINT16_MAX

struct vh_host_cpu {
    bool online;
    uint16_t core;
    uint16_t l3;   /* CPUs under one last-level cache; where hwloc knows no L3, under one package */
    uint16_t node; /* the NUMA node whose memory is nearest */
    uint16_t package; /* the socket; for people, nothing is decided by it */
};

struct vh_host_domain {
    struct vh_cpuset cpus;
    unsigned number; /* nodes: the kernel's; L3s: the dense one */
    unsigned cores;
};

struct vh_host_core {
    unsigned first; /* in `siblings` */
    unsigned count; /* online hardware threads */
};

struct vh_topology {
    unsigned cpu_count; /* highest CPU number + 1 */
    unsigned core_count, l3_count, node_count, package_count;
    struct vh_cpuset online;
    struct vh_host_cpu *cpus;
    struct vh_host_core *cores;
    uint16_t *siblings; /* CPUs, core by core, ascending within a core */
    struct vh_host_domain *l3s;
    struct vh_host_domain *nodes;
};

/* This machine as it is now, CPUs outside of the caller's own cpuset included. NULL and
 * VH_ERROR_FAILED. */
struct vh_topology *vh_topology_load(GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* One from hwloc's synthetic format, such as "node:8 l3:4 core:8 pu:2"
 * (hwloc_topology_set_synthetic(3)). NULL and VH_ERROR_INVALID_ARGUMENT. */
struct vh_topology *vh_topology_synthetic(const char *description,
                                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A copy without the CPUs of `gone`; never NULL. Cores, L3s and nodes that lose all their CPUs are
 * gone, too. */
struct vh_topology *vh_topology_without(const struct vh_topology *topology,
                                        const struct vh_cpuset *gone);

void vh_topology_free(struct vh_topology *topology);
typedef struct vh_topology VhTopology;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhTopology, vh_topology_free)

/* The CPUs that share a core with `cpu`, itself included, and their number; `cpu` must be online.
 */
static inline const uint16_t *vh_topology_siblings(const struct vh_topology *topology, unsigned cpu,
                                                   unsigned *count)
{
    const struct vh_host_core *core = &topology->cores[topology->cpus[cpu].core];

    *count = core->count;
    return topology->siblings + core->first;
}
