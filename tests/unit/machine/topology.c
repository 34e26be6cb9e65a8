/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/topology.h"

#include <glib/gstdio.h>
#include <sched.h>

#include "base/error.h"

static struct vh_topology *synthetic(const char *description)
{
    g_autoptr(GError) error = NULL;
    struct vh_topology *topology = vh_topology_synthetic(description, &error);

    g_assert_no_error(error);
    g_assert_nonnull(topology);
    return topology;
}

/* The invariants of machine/topology.h, for any topology. */
static void check(const struct vh_topology *topology)
{
    unsigned online = 0, l3_cores = 0, node_cores = 0, last = 0;
    struct vh_cpuset l3s = {{0}}, nodes = {{0}};

    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++) {
        const struct vh_host_cpu *at = &topology->cpus[cpu];
        unsigned count = 0;
        bool found = false;

        g_assert_true(at->online == vh_cpuset_has(&topology->online, cpu));
        if (!at->online) {
            g_assert_cmpuint(at->core, ==, VH_TOPOLOGY_NONE);
            g_assert_cmpuint(at->l3, ==, VH_TOPOLOGY_NONE);
            g_assert_cmpuint(at->node, ==, VH_TOPOLOGY_NONE);
            g_assert_cmpuint(at->package, ==, VH_TOPOLOGY_NONE);
            continue;
        }
        online++;
        last = cpu;
        g_assert_cmpuint(at->core, <, topology->core_count);
        g_assert_cmpuint(at->package, <, topology->package_count);
        g_assert_true(vh_cpuset_has(&topology->l3s[at->l3].cpus, cpu));
        g_assert_true(vh_cpuset_has(&topology->nodes[at->node].cpus, cpu));
        const uint16_t *siblings = vh_topology_siblings(topology, cpu, &count);
        for (unsigned i = 0; i < count; i++) {
            g_assert_cmpuint(topology->cpus[siblings[i]].core, ==, at->core);
            g_assert_true(i == 0 || siblings[i - 1] < siblings[i]);
            found = found || siblings[i] == cpu;
        }
        g_assert_true(found);
    }
    g_assert_cmpuint(online, ==, vh_cpuset_count(&topology->online));
    g_assert_true(topology->cpu_count == 0 || last == topology->cpu_count - 1);
    for (unsigned l3 = 0; l3 < topology->l3_count; l3++) {
        vh_cpuset_or(&l3s, &topology->l3s[l3].cpus);
        l3_cores += topology->l3s[l3].cores;
        g_assert_cmpuint(topology->l3s[l3].cores, >, 0);
    }
    for (unsigned node = 0; node < topology->node_count; node++) {
        vh_cpuset_or(&nodes, &topology->nodes[node].cpus);
        node_cores += topology->nodes[node].cores;
    }
    g_assert_true(vh_cpuset_equal(&l3s, &topology->online));
    g_assert_true(vh_cpuset_equal(&nodes, &topology->online));
    g_assert_cmpuint(l3_cores, ==, topology->core_count);
    g_assert_cmpuint(node_cores, ==, topology->core_count);
}

static void test_synthetic(void)
{
    static const struct {
        const char *description;
        unsigned cpus, cores, l3s, nodes, threads;
    } rows[] = {
        {"node:8 l3:4 core:8 pu:1", 256, 256, 32, 8, 1},
        {"node:2 l3:2 core:4 pu:2", 32, 16, 4, 2, 2},
        {"package:2 core:3 pu:2", 12, 6, 2, 1, 2}, /* no L3: the packages stand for them */
        {"core:2 pu:4", 8, 2, 1, 1, 4},
        {"pu:1", 1, 1, 1, 1, 1},
        {"package:1 l3:1 node:2 core:2 pu:1", 4, 4, 1, 2, 1}, /* an L3 over two nodes */
        {"node:2 core:2 l3:1 pu:2(indexes=0,4,1,5,2,6,3,7)", 8, 4, 4, 2, 2},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(VhTopology) topology = synthetic(rows[i].description);
        unsigned count = 0;

        g_test_message("%s", rows[i].description);
        check(topology);
        g_assert_cmpuint(vh_cpuset_count(&topology->online), ==, rows[i].cpus);
        g_assert_cmpuint(topology->core_count, ==, rows[i].cores);
        g_assert_cmpuint(topology->l3_count, ==, rows[i].l3s);
        g_assert_cmpuint(topology->node_count, ==, rows[i].nodes);
        vh_topology_siblings(topology, 0, &count);
        g_assert_cmpuint(count, ==, rows[i].threads);
    }
}

/* Siblings numbered as Linux does: the second thread of each core after the first of all. */
static void test_numbering(void)
{
    g_autoptr(VhTopology) topology = synthetic("node:2 l3:1 core:2 pu:2(indexes=0,4,1,5,2,6,3,7)");

    check(topology);
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        unsigned count = 0;
        const uint16_t *siblings = vh_topology_siblings(topology, cpu, &count);

        g_assert_cmpuint(count, ==, 2);
        g_assert_cmpuint(siblings[0], ==, cpu);
        g_assert_cmpuint(siblings[1], ==, cpu + 4);
        g_assert_cmpuint(topology->cpus[cpu].node, ==, cpu / 2);
        g_assert_cmpuint(topology->cpus[cpu + 4].node, ==, cpu / 2);
    }
}

static void test_refused(void)
{
    static const char *const bad[] = {"", "nonsense", "core:0 pu:1", "core:2 pu:2 what:3"};

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(vh_topology_synthetic(bad[i], &error));
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
        g_assert_nonnull(strstr(error->message, "\""));
    }
}

static void test_too_large(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_topology_synthetic("node:8 core:600 pu:1", &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "0 to 4095"));
}

static void test_without(void)
{
    g_autoptr(VhTopology) whole = synthetic("node:2 l3:2 core:2 pu:2");
    struct vh_cpuset gone = {{0}};
    unsigned count = 0;

    /* One thread of core 0, all of the first L3 of node 1 (CPUs 8 to 11), and the last CPU. */
    vh_cpuset_add(&gone, 0);
    for (unsigned cpu = 8; cpu < 12; cpu++)
        vh_cpuset_add(&gone, cpu);
    vh_cpuset_add(&gone, 15);
    g_autoptr(VhTopology) rest = vh_topology_without(whole, &gone);
    check(rest);
    g_assert_cmpuint(rest->cpu_count, ==, 15);
    g_assert_cmpuint(rest->core_count, ==, 6);
    g_assert_cmpuint(rest->l3_count, ==, 3);
    g_assert_cmpuint(rest->node_count, ==, 2);
    g_assert_cmpuint(vh_topology_siblings(rest, 1, &count)[0], ==, 1);
    g_assert_cmpuint(count, ==, 1);

    /* All of node 0: node 1 keeps its number. */
    memset(&gone, 0, sizeof(gone));
    for (unsigned cpu = 0; cpu < 8; cpu++)
        vh_cpuset_add(&gone, cpu);
    g_autoptr(VhTopology) half = vh_topology_without(whole, &gone);
    check(half);
    g_assert_cmpuint(half->node_count, ==, 1);
    g_assert_cmpuint(half->nodes[0].number, ==, 1);

    g_autoptr(VhTopology) none = vh_topology_without(whole, &whole->online);
    check(none);
    g_assert_cmpuint(none->cpu_count, ==, 0);
}

/* Threads of one core under two L3s, as some virtual machines are told: nonsense, but it must hold
 * together. */
static void test_nonsense(void)
{
    g_autoptr(VhTopology) topology = synthetic("core:2 l3:2 pu:1");

    g_assert_cmpuint(topology->core_count, ==, 2);
    g_assert_cmpuint(topology->l3_count, ==, 4);
    for (unsigned l3 = 0; l3 < topology->l3_count; l3++)
        g_assert_cmpuint(topology->l3s[l3].cores, ==, 1);
    g_assert_cmpuint(topology->nodes[0].cores, ==, 2);
}

/* This machine, held against what the kernel says of its CPUs. */
static void test_machine(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTopology) topology = vh_topology_load(&error);
    g_autofree char *text = NULL;
    struct vh_cpuset online;

    g_assert_no_error(error);
    check(topology);
    g_assert_true(g_file_get_contents("/sys/devices/system/cpu/online", &text, NULL, &error));
    g_assert_cmpint(vh_cpuset_parse(&online, text, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_true(vh_cpuset_equal(&online, &topology->online));
    for (int cpu = vh_cpuset_next(&online, 0); cpu >= 0;
         cpu = vh_cpuset_next(&online, (unsigned)cpu + 1)) {
        g_autofree char *path =
            g_strdup_printf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        g_autofree char *list = NULL;
        struct vh_cpuset siblings, ours = {{0}};
        unsigned count = 0;

        if (!g_file_get_contents(path, &list, NULL, NULL)) {
            g_test_skip("the kernel does not tell siblings here");
            return;
        }
        g_assert_cmpint(vh_cpuset_parse(&siblings, list, NULL), ==, 0);
        const uint16_t *known = vh_topology_siblings(topology, (unsigned)cpu, &count);
        for (unsigned i = 0; i < count; i++)
            vh_cpuset_add(&ours, known[i]);
        g_assert_true(vh_cpuset_equal(&siblings, &ours));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/synthetic", test_synthetic);
    g_test_add_func("/topology/numbering", test_numbering);
    g_test_add_func("/topology/refused", test_refused);
    g_test_add_func("/topology/too-large", test_too_large);
    g_test_add_func("/topology/without", test_without);
    g_test_add_func("/topology/nonsense", test_nonsense);
    g_test_add_func("/topology/machine", test_machine);
    return g_test_run();
}
