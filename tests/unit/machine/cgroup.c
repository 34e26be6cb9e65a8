/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cpusets of both kinds of control groups, laid out in a directory. */
#include "machine/cgroup.h"
#include "lib/scratch.h"

#include <glib/gstdio.h>

struct fixture {
    char *directory;
    char *proc;
    char *cgroup;
};

static void put(const char *base, const char *path, const char *text)
{
    g_autofree char *file = g_build_filename(base, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);
    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-cgroup-XXXXXX", NULL);
    f->proc = g_build_filename(f->directory, "proc", NULL);
    f->cgroup = g_build_filename(f->directory, "cgroup", NULL);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    scratch_remove(f->directory);
    g_free(f->proc);
    g_free(f->cgroup);
}

static void assert_found(struct fixture *f, const char *cpus, const char *path)
{
    struct vh_cpuset set;
    g_autofree char *found = NULL;
    g_autofree char *list = NULL;
    g_assert_true(vh_cgroup_cpus(f->proc, f->cgroup, 7, &set, &found));
    list = vh_cpuset_format(&set);
    g_assert_cmpstr(list, ==, cpus);
    g_assert_cmpstr(found, ==, path);
}

static void assert_none(struct fixture *f)
{
    struct vh_cpuset set;
    g_autofree char *found = NULL;
    g_assert_false(vh_cgroup_cpus(f->proc, f->cgroup, 7, &set, &found));
}

static void test_v1(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    put(f->proc, "7/cgroup", "4:memory:/m\n3:cpu,cpuset:/machine/a:b/vcpu0\n0::/\n");
    put(f->cgroup, "cpuset/machine/a:b/vcpu0/cpuset.effective_cpus", "2-3\n");
    put(f->cgroup, "cpuset.cpus.effective", "0-7\n");
    assert_found(f, "2-3", "/machine/a:b/vcpu0");
}

static void test_v2(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    put(f->proc, "7/cgroup", "0::/machine.slice/x.scope/libvirt/vcpu0\n");
    put(f->cgroup, "machine.slice/x.scope/libvirt/vcpu0/cpuset.cpus.effective", "5\n");
    put(f->cgroup, "cpuset.cpus.effective", "0-7\n");
    assert_found(f, "5", "/machine.slice/x.scope/libvirt/vcpu0");
}

/* Only a group above has the controller. */
static void test_v2_above(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    put(f->proc, "7/cgroup", "1:name=systemd:/x\n0::/machine.slice/x.scope\n");
    put(f->cgroup, "unified/machine.slice/cpuset.cpus.effective", "0-3\n");
    assert_found(f, "0-3", "/machine.slice/x.scope");
}

static void test_none(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    assert_none(f); /* no such thread */
    put(f->proc, "7/cgroup", "garbage\n:\n\n4:memory:/\n");
    assert_none(f);
    put(f->proc, "7/cgroup", "3:cpuset:/a\n0::/a\n");
    put(f->cgroup, "cpuset/a/cpuset.effective_cpus", "many\n");
    put(f->cgroup, "a/cpuset.cpus.effective", "\n");
    assert_none(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/cgroup/v1", struct fixture, NULL, set_up, test_v1, tear_down);
    g_test_add("/cgroup/v2", struct fixture, NULL, set_up, test_v2, tear_down);
    g_test_add("/cgroup/v2-above", struct fixture, NULL, set_up, test_v2_above, tear_down);
    g_test_add("/cgroup/none", struct fixture, NULL, set_up, test_none, tear_down);
    return g_test_run();
}
