/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/qemu/nics.c: what "info network" prints, and what fdinfo says. */
#include "qemu/nics.h"

#include <string.h>
#include <unistd.h>

#include "lib/scratch.h"
#include "machine/tid.h"

#define NIC(mac) "net0: index=0,type=nic,model=virtio-net-pci,macaddr=" mac "\n"
#define MAC "52:54:00:12:34:56"

static char *proc;
static struct vh_thread_id process;

static void expect(const char *text, const char *taps, const char *problem)
{
    const char *told = NULL;
    g_autoptr(GArray) nics = vh_nics_read(text, proc, &process, &told);
    g_autoptr(GString) found = g_string_new(NULL);

    for (guint i = 0; i < nics->len; i++)
        g_string_append_printf(found, "%s%s=%02x", i ? " " : "",
                               g_array_index(nics, struct vh_nic, i).tap,
                               g_array_index(nics, struct vh_nic, i).mac[5]);
    g_assert_cmpstr(found->str, ==, taps);
    g_assert_cmpint(!told, ==, !problem);
    if (problem)
        g_assert_nonnull(strstr(told, problem));
}

static void test_read(void)
{
    expect("", "", NULL);
    expect(NIC(MAC) " \\ host0: index=0,type=tap,ifname=tap7,script=no,downscript=no\n", "tap7=56",
           NULL);
    /* Queues are further lines of the same tap. */
    expect(NIC(MAC) " \\ host0: index=0,type=tap,fd=23\n \\ host0: index=1,type=tap,fd=24\n"
                    "net1: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:57\n"
                    " \\ host1: index=0,type=tap,ifname=tap8\n",
           "vnet3=56 tap8=57", NULL);
    expect(NIC(MAC) " \\ host0: index=0,type=user,net=10.0.2.0,restrict=off\n", "",
           "not served by a tap");
    expect(NIC(MAC), "", "not served by a tap");
    expect(NIC(MAC) " \\ host0: index=0,type=tap,fd=99\n", "", "CAP_SYS_PTRACE");
    expect(NIC(MAC) " \\ host0: index=0,type=tap,helper=/usr/lib/qemu/qemu-bridge-helper\n", "",
           "CAP_SYS_PTRACE");
    /* A descriptor of something else. */
    expect(NIC(MAC) " \\ host0: index=0,type=tap,fd=25\n", "", "CAP_SYS_PTRACE");
}

/* A QEMU that somebody has taken over may print anything. */
static void test_strange(void)
{
    g_autoptr(GString) many = g_string_new(NULL);
    const char *told = NULL;
    g_autoptr(GArray) nics = NULL;

    expect(NIC("52:54:00:12:34") " \\ host0: type=tap,ifname=tap7\n", "", NULL);
    expect(NIC("52:54:00:12:34:56:78") " \\ host0: type=tap,ifname=tap7\n", "", NULL);
    expect(NIC(MAC) " \\ host0: type=tap,ifname=a-name-that-is-too-long\n", "", "");
    expect(NIC(MAC) " \\ host0: type=tap,ifname=\n", "", "");
    expect(NIC(MAC) " \\ host0: type=tap,fd=../../1\n", "", "");
    expect(NIC(MAC) " \\ host0: type=tap,fd=-1\n", "", "");
    expect(": ,,==\n \\ \n\\\n:\n", "", NULL);
    for (guint i = 0; i < 1000; i++)
        g_string_append(many, NIC(MAC) " \\ host0: type=tap,ifname=tap7\n");
    nics = vh_nics_read(many->str, proc, &process, &told);
    g_assert_cmpuint(nics->len, ==, VH_NICS_MAX);
}

int main(int argc, char **argv)
{
    g_autofree char *own = g_strdup_printf("%d", getpid());
    g_autofree char *stat = g_strdup_printf("/proc/%d/task/%d/stat", getpid(), getpid());
    g_autofree char *text = NULL;
    g_autofree char *path = g_build_filename(own, "task", own, "stat", NULL);
    g_autofree char *tap = g_build_filename(own, "fdinfo", "23", NULL);
    g_autofree char *other = g_build_filename(own, "fdinfo", "25", NULL);
    int result = 0;

    g_test_init(&argc, &argv, NULL);
    proc = g_dir_make_tmp("vhint-nics-XXXXXX", NULL);
    g_assert_true(g_file_get_contents(stat, &text, NULL, NULL));
    scratch_write(proc, path, text);
    scratch_write(proc, tap, "pos:\t0\nflags:\t0104002\nmnt_id:\t26\nino:\t98\niff:\tvnet3\n");
    scratch_write(proc, other, "pos:\t0\nflags:\t0104002\n");
    g_assert_cmpint(vh_tid_identify(proc, getpid(), getpid(), &process), ==, 0);
    g_test_add_func("/qemu/nics/read", test_read);
    g_test_add_func("/qemu/nics/strange", test_strange);
    result = g_test_run();
    scratch_remove(proc);
    return result;
}
