// SPDX-License-Identifier: GPL-2.0-or-later
// Flattens hwloc's tree of the host into arrays.
#include "machine/topology.h"

#include <errno.h>
#include <hwloc.h>

#include "base/error.h"

/* Where a CPU is, by any numbers that tell cores, L3s and nodes apart; vh_host_domain's numbering
 * comes later. */
struct place {
    unsigned cpu;
    unsigned core;
    unsigned l3;
    unsigned node; /* the kernel's number */
    unsigned package;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

/* The dense number of `key`: its first use gets the next one. */
static uint16_t dense(GHashTable *numbers, unsigned key)
{
    gpointer known = NULL;

    if (g_hash_table_lookup_extended(numbers, GUINT_TO_POINTER(key), NULL, &known))
        return (uint16_t)GPOINTER_TO_UINT(known);
    unsigned number = g_hash_table_size(numbers);
    g_hash_table_insert(numbers, GUINT_TO_POINTER(key), GUINT_TO_POINTER(number));
    return (uint16_t)number;
}

static void fill_siblings(struct vh_topology *topology)
{
    unsigned first = 0;

    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++)
        if (topology->cpus[cpu].online)
            topology->cores[topology->cpus[cpu].core].count++;
    for (unsigned core = 0; core < topology->core_count; core++) {
        topology->cores[core].first = first;
        first += topology->cores[core].count;
        topology->cores[core].count = 0;
    }
    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++)
        if (topology->cpus[cpu].online) {
            struct vh_host_core *core = &topology->cores[topology->cpus[cpu].core];

            topology->siblings[core->first + core->count++] = (uint16_t)cpu;
        }
}

/* A core counts wherever it has a CPU, so that no L3 or node is without one even where the firmware
 * tells nonsense. */
static void fill_domains(struct vh_topology *topology)
{
    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++) {
        const struct vh_host_cpu *at = &topology->cpus[cpu];
        bool new_in_l3 = true, new_in_node = true;
        unsigned count = 0;

        if (!at->online)
            continue;
        vh_cpuset_add(&topology->online, cpu);
        vh_cpuset_add(&topology->l3s[at->l3].cpus, cpu);
        vh_cpuset_add(&topology->nodes[at->node].cpus, cpu);
        const uint16_t *siblings = vh_topology_siblings(topology, cpu, &count);
        for (unsigned i = 0; i < count && siblings[i] < cpu; i++) {
            new_in_l3 = new_in_l3 && topology->cpus[siblings[i]].l3 != at->l3;
            new_in_node = new_in_node && topology->cpus[siblings[i]].node != at->node;
        }
        topology->l3s[at->l3].cores += new_in_l3;
        topology->nodes[at->node].cores += new_in_node;
    }
}

/* From `count` places in any order, at least one, all below VH_HOST_CPUS_MAX. */
static struct vh_topology *flatten(struct place *places, unsigned count)
{
    struct vh_topology *topology = g_new0(struct vh_topology, 1);
    g_autoptr(GHashTable) cores = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) l3s = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) nodes = g_hash_table_new(NULL, NULL);
    g_autoptr(GHashTable) packages = g_hash_table_new(NULL, NULL);

    qsort(places, count, sizeof(*places), compare_places);
    topology->cpu_count = count ? places[count - 1].cpu + 1 : 0;
    topology->cpus = g_new(struct vh_host_cpu, topology->cpu_count);
    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++)
        topology->cpus[cpu] = (struct vh_host_cpu){false, VH_TOPOLOGY_NONE, VH_TOPOLOGY_NONE,
                                                   VH_TOPOLOGY_NONE, VH_TOPOLOGY_NONE};
    for (unsigned i = 0; i < count; i++)
        topology->cpus[places[i].cpu] =
            (struct vh_host_cpu){.online = true,
                                 .core = dense(cores, places[i].core),
                                 .l3 = dense(l3s, places[i].l3),
                                 .node = dense(nodes, places[i].node),
                                 .package = dense(packages, places[i].package)};
    topology->package_count = g_hash_table_size(packages);
    topology->core_count = g_hash_table_size(cores);
    topology->l3_count = g_hash_table_size(l3s);
    topology->node_count = g_hash_table_size(nodes);
    topology->cores = g_new0(struct vh_host_core, topology->core_count);
    topology->siblings = g_new0(uint16_t, count);
    topology->l3s = g_new0(struct vh_host_domain, topology->l3_count);
    topology->nodes = g_new0(struct vh_host_domain, topology->node_count);
    for (unsigned i = 0; i < count; i++)
        topology->nodes[topology->cpus[places[i].cpu].node].number = places[i].node;
    for (unsigned l3 = 0; l3 < topology->l3_count; l3++)
        topology->l3s[l3].number = l3;
    fill_siblings(topology);
    fill_domains(topology);
    return topology;
}

/* A number for the ancestor of `pu` of the first of two types that it has; else the machine. */
static unsigned ancestor(hwloc_topology_t tree, hwloc_obj_t pu, hwloc_obj_type_t type,
                         hwloc_obj_type_t other)
{
    hwloc_obj_t found = hwloc_get_ancestor_obj_by_type(tree, type, pu);

    if (!found)
        found = hwloc_get_ancestor_obj_by_type(tree, other, pu);
    /* A CPU number inside it: unique among L3s and packages alike, which a logical index would not
     * be. */
    return found ? (unsigned)hwloc_bitmap_first(found->cpuset) : 0;
}

/* Loads the tree, which has its source set, and flattens it. NULL and a text why. */
static struct vh_topology *load(hwloc_topology_t tree, char **why)
{
    if (hwloc_topology_set_flags(tree, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) < 0 ||
        hwloc_topology_load(tree) < 0) {
        *why = g_strdup_printf("hwloc cannot load it: %s", g_strerror(errno));
        return NULL;
    }
    int count = hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_PU);
    g_autofree struct place *places = g_new0(struct place, (gsize)MAX(count, 1));

    for (int i = 0; i < count; i++) {
        hwloc_obj_t pu = hwloc_get_obj_by_type(tree, HWLOC_OBJ_PU, (unsigned)i);
        int node = pu->nodeset ? hwloc_bitmap_first(pu->nodeset) : -1;

        if (pu->os_index >= VH_HOST_CPUS_MAX) {
            *why = g_strdup_printf("it has CPU %u, and this build knows CPUs 0 to %u", pu->os_index,
                                   VH_HOST_CPUS_MAX - 1);
            return NULL;
        }
        places[i] =
            (struct place){.cpu = pu->os_index,
                           .core = ancestor(tree, pu, HWLOC_OBJ_CORE, HWLOC_OBJ_PU),
                           .l3 = ancestor(tree, pu, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_PACKAGE),
                           .node = node < 0 ? 0 : (unsigned)node,
                           .package = ancestor(tree, pu, HWLOC_OBJ_PACKAGE, HWLOC_OBJ_MACHINE)};
        if (!hwloc_get_ancestor_obj_by_type(tree, HWLOC_OBJ_CORE, pu))
            places[i].core = pu->os_index;
    }
    if (count <= 0) {
        *why = g_strdup("it has no CPU");
        return NULL;
    }
    return flatten(places, (unsigned)count);
}

struct vh_topology *vh_topology_load(GError **error)
{
    struct vh_topology *topology = NULL;
    g_autofree char *why = NULL;
    hwloc_topology_t tree;

    if (hwloc_topology_init(&tree) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the host's topology: hwloc: %s",
                    g_strerror(errno));
        return NULL;
    }
    topology = load(tree, &why);
    if (!topology)
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the host's topology: %s", why);
    hwloc_topology_destroy(tree);
    return topology;
}

struct vh_topology *vh_topology_synthetic(const char *description, GError **error)
{
    struct vh_topology *topology = NULL;
    g_autofree char *why = NULL;
    hwloc_topology_t tree;

    if (hwloc_topology_init(&tree) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "a synthetic topology: hwloc: %s",
                    g_strerror(errno));
        return NULL;
    }
    if (hwloc_topology_set_synthetic(tree, description) < 0)
        why = g_strdup("not hwloc's synthetic format, such as \"node:2 l3:2 core:4 pu:2\"");
    else
        topology = load(tree, &why);
    if (!topology)
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "topology \"%s\": %s", description,
                    why);
    hwloc_topology_destroy(tree);
    return topology;
}

struct vh_topology *vh_topology_without(const struct vh_topology *topology,
                                        const struct vh_cpuset *gone)
{
    g_autofree struct place *places = g_new0(struct place, topology->cpu_count + 1);
    unsigned count = 0;

    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++) {
        const struct vh_host_cpu *at = &topology->cpus[cpu];

        if (at->online && !vh_cpuset_has(gone, cpu))
            places[count++] = (struct place){.cpu = cpu,
                                             .core = at->core,
                                             .l3 = at->l3,
                                             .node = topology->nodes[at->node].number,
                                             .package = at->package};
    }
    return flatten(places, count);
}

void vh_topology_free(struct vh_topology *topology)
{
    if (!topology)
        return;
    g_free(topology->cpus);
    g_free(topology->cores);
    g_free(topology->siblings);
    g_free(topology->l3s);
    g_free(topology->nodes);
    g_free(topology);
}
