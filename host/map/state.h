/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The map's inside, for the files of this folder only. */
#pragma once

#include "map/map.h"

/* All texts are printable (vh_text_printable). */
struct thread {
    unsigned guest;
    int vcpu;   /* -1: none */
    char *role; /* "vCPU 3", "emulator" */
    char *why;
    bool held;
    int cpu; /* the only one that it is held to; -1: several, or none */
    struct vh_cpuset cpus;
};

struct guest {
    char *name;
    unsigned vcpus, alone, shared; /* vCPUs in all, held to one CPU, to several */
};

/* The CPUs that are under one L3, on one node and in one socket: the innermost box that is drawn.
 */
struct cell {
    uint16_t package, node, l3;
    GArray *cores; /* uint16_t: numbers, in the order of their lowest CPU */
};

struct VhMap {
    const struct vh_topology *topology;
    char *title;
    struct vh_cpuset reserved;
    GArray *guests;  /* struct guest */
    GArray *threads; /* struct thread */
    GArray *cells;   /* struct cell: by socket, then node, then lowest CPU */
};

static inline const struct guest *vh_map_guest(const VhMap *map, unsigned number)
{
    return &g_array_index(map->guests, struct guest, number);
}
static inline const struct thread *vh_map_thread(const VhMap *map, unsigned number)
{
    return &g_array_index(map->threads, struct thread, number);
}

/* Is this CPU of the core in the cell? A core's CPUs are in one cell on every sane host. */
bool vh_map_cell_has(const VhMap *map, const struct cell *cell, unsigned cpu);

/* The first thread held to this CPU alone, and in `*more` how many others are; NULL: none. */
const struct thread *vh_map_owner(const VhMap *map, unsigned cpu, unsigned *more);
/* Is any thread of the guest held to several CPUs, this one among them? */
bool vh_map_shares(const VhMap *map, unsigned guest, unsigned cpu);

/* "4 vCPUs: 2 on a CPU of their own, 1 held to a set, 1 floats". g_free() it. */
char *vh_map_guest_text(const struct guest *guest);
/* "8 CPUs, 4 cores, 2 L3 caches, 1 NUMA node, 1 socket". g_free() it. */
char *vh_map_host_text(const VhMap *map);
/* "socket 0, NUMA node 0, L3 1": of these the parts the host has more than one of. g_free() it. */
char *vh_map_cell_text(const VhMap *map, const struct cell *cell);
