/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A picture of a host: its sockets, caches, cores and CPUs, and whose threads are held to which of
 * them. Filled once, then written as text, SVG or JSON. Pure.
 *
 * Names and reasons may hold any bytes: guests and operators choose them. What is written is
 * harmless on a terminal and well-formed. */
#pragma once

#include <json-glib/json-glib.h>

#include "machine/topology.h"

typedef struct VhMap VhMap;

/* `topology` is borrowed; `title` is copied. */
VhMap *vh_map_new(const struct vh_topology *topology, const char *title);
void vh_map_free(VhMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhMap, vh_map_free)

/* CPUs for the host alone. */
void vh_map_reserve(VhMap *map, const struct vh_cpuset *cpus);

/* The guest that following threads are of. */
void vh_map_add_guest(VhMap *map, const char *name);

struct vh_map_thread {
    int vcpu;                     /* index; -1: it is no vCPU */
    const char *role;             /* of others: "emulator", "iothread 1"; else not read */
    const struct vh_cpuset *cpus; /* what it is held to; NULL: it floats */
    const char *why;
};
/* All is copied. CPUs that the host does not have online are not shown. */
void vh_map_add_thread(VhMap *map, const struct vh_map_thread *thread);

/* Each is to be g_free()d. `columns`: how wide a line may be, where that can be helped. */
char *vh_map_text(const VhMap *map, unsigned columns);
/* A document that needs nothing else; its colours follow the viewer's light or dark scheme. */
char *vh_map_svg(const VhMap *map);
/* {"title","cpus":[{"cpu","socket","node","l3","core","reserved"}],
 * "guests":[{"name","threads":[{"thread", "host_cpus" ("": it floats),"reason"}]}]} */
JsonNode *vh_map_json(const VhMap *map);
