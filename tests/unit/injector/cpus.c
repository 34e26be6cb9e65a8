/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/cpus.c, on files made up here. */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "cpus.h"
#include "lib/scratch.h"

struct files {
    char *top;
};

static void files_new(struct files *files)
{
    files->top = g_dir_make_tmp("vhint-cpus-XXXXXX", NULL);
    g_assert_nonnull(files->top);
}

static void files_free(struct files *files)
{
    static const char *const paths[] = {"devices/system/cpu/possible",
                                        "devices/system/cpu",
                                        "devices/system",
                                        "devices",
                                        "cpuinfo",
                                        ""};

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *full = g_build_filename(files->top, paths[i], NULL);

        g_remove(full);
    }
    g_free(files->top);
}

static int read_map(struct files *files, struct vh_cpu_map *map)
{
    return vh_cpus_read(map, files->top, files->top);
}

static void test_count(void)
{
    g_assert_cmpuint(vh_cpus_count("0-3\n"), ==, 4);
    g_assert_cmpuint(vh_cpus_count("0\n"), ==, 1);
    g_assert_cmpuint(vh_cpus_count("0-3,8,10-11\n"), ==, 12);
    g_assert_cmpuint(vh_cpus_count("\n"), ==, 0);
    g_assert_cmpuint(vh_cpus_count("x"), ==, 0);
    g_assert_cmpuint(vh_cpus_count("99999999999999999999"), ==, 0);
}

static void test_map(void)
{
    struct files files;
    struct vh_cpu_map map = {0};
    struct vh_cpu cpus[VH_CPUS_MAX];

    files_new(&files);
    scratch_write(files.top, "devices/system/cpu/possible", "0-3\n");
    scratch_write(files.top, "cpuinfo",
                  "processor\t: 0\nmodel name\t: x\napicid\t\t: 0\ninitial apicid\t: 9\n\n"
                  "processor\t: 2\napicid\t\t: 6\n\n");
    g_assert_cmpint(read_map(&files, &map), ==, 0);
    g_assert_cmpuint(vh_cpus_list(&map, cpus), ==, 4);
    g_assert_cmpuint(cpus[0].apic_id, ==, 0);
    g_assert_cmpuint(cpus[0].flags, ==, VH_CPU_ONLINE);
    g_assert_cmpuint(cpus[1].apic_id, ==, VH_APIC_UNKNOWN);
    g_assert_cmpuint(cpus[1].flags, ==, 0);
    g_assert_cmpuint(cpus[2].apic_id, ==, 6);
    g_assert_cmpuint(cpus[2].flags, ==, VH_CPU_ONLINE);

    /* 2 goes, 1 comes: 2 keeps the id it was seen with */
    scratch_write(files.top, "cpuinfo",
                  "processor\t: 0\napicid\t\t: 0\n\nprocessor\t: 1\napicid\t\t: 2\n");
    g_assert_cmpint(read_map(&files, &map), ==, 0);
    g_assert_cmpuint(vh_cpus_list(&map, cpus), ==, 4);
    g_assert_cmpuint(cpus[1].apic_id, ==, 2);
    g_assert_cmpuint(cpus[2].apic_id, ==, 6);
    g_assert_cmpuint(cpus[2].flags, ==, 0);
    files_free(&files);
}

static void test_bounds(void)
{
    struct files files;
    struct vh_cpu_map map = {0};

    files_new(&files);
    g_assert_cmpint(read_map(&files, &map), ==, -ENOENT);
    scratch_write(files.top, "devices/system/cpu/possible", "nonsense\n");
    g_assert_cmpint(read_map(&files, &map), ==, -EBADMSG);
    g_assert_cmpuint(map.possible, ==, 0);
    scratch_write(files.top, "devices/system/cpu/possible", "0-8191\n");
    scratch_write(files.top, "cpuinfo",
                  "processor : 600\napicid : 3\nprocessor : 511\napicid : 7\n");
    g_assert_cmpint(read_map(&files, &map), ==, 0);
    g_assert_cmpuint(map.possible, ==, VH_CPUS_MAX);
    g_assert_cmpuint(map.apic_id[511], ==, 7);
    files_free(&files);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpus/count", test_count);
    g_test_add_func("/cpus/map", test_map);
    g_test_add_func("/cpus/bounds", test_bounds);
    return g_test_run();
}
