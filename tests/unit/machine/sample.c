/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/machine/sample.c, on the test's own threads and on files that look like /proc. */
#include "machine/sample.h"
#include "lib/scratch.h"

#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void test_parse(void)
{
    struct vh_run run = {0};

    g_assert_cmpint(vh_sample_parse("342229 1763724 2\n", &run), ==, 0);
    g_assert_cmpuint(run.ran, ==, 342229);
    g_assert_cmpuint(run.waited, ==, 1763724);
    g_assert_cmpint(vh_sample_parse("", &run), ==, -1);
    g_assert_cmpint(vh_sample_parse("12", &run), ==, -1);
    g_assert_cmpint(vh_sample_parse("x y z", &run), ==, -1);
}

static void test_share(void)
{
    struct vh_run before = {1000000, 500000};
    struct vh_run after = {1750000, 750000};

    g_assert_cmpfloat(vh_sample_share(&before, &after), ==, 0.25);
    g_assert_true(isnan(vh_sample_share(&before, &before)));
    /* Another thread's number by now. */
    g_assert_true(isnan(vh_sample_share(&after, &before)));
}

static void test_own_thread(void)
{
    struct vh_run before;
    struct vh_run after;
    clock_t end =
        clock() +
        CLOCKS_PER_SEC / 50; /* of CPU time: the host may take a machine's CPU away meanwhile */

    if (vh_sample_missing("/proc")) {
        g_test_skip(vh_sample_missing("/proc"));
        return;
    }
    g_assert_cmpint(vh_sample_thread("/proc", getpid(), &before), ==, 0);
    while (clock() < end)
        ;
    g_usleep(1000);
    g_assert_cmpint(vh_sample_thread("/proc", getpid(), &after), ==, 0);
    g_assert_cmpuint(after.ran + after.waited - before.ran - before.waited, >, 10000000);
    g_assert_cmpint(vh_sample_thread("/proc", G_MAXINT, &after), ==, -1);
    g_assert_cmpfloat(vh_sample_load("/proc"), >=, 1);
}

static void test_missing(void)
{
    char *directory = g_dir_make_tmp("vhint-XXXXXX", NULL);

    g_assert_nonnull(strstr(vh_sample_missing(directory), "no /proc/PID/schedstat"));
    scratch_write(directory, "self/schedstat", "0 0 0\n");
    g_assert_nonnull(strstr(vh_sample_missing(directory), "counts nothing"));
    scratch_write(directory, "self/schedstat", "17 0 1\n");
    g_assert_null(vh_sample_missing(directory));
    g_assert_true(isnan(vh_sample_load(directory)));
    scratch_write(directory, "loadavg", "0.00 0.01 0.05 7/402 1234\n");
    g_assert_cmpfloat(vh_sample_load(directory), ==, 7);
    scratch_remove(directory);
}

static gpointer spin(gpointer data)
{
    gint *end = data;

    while (!g_atomic_int_get(end))
        ;
    return NULL;
}

static void test_busiest(void)
{
    gint end = 0;
    GThread *thread = NULL;
    g_autoptr(GArray) found = NULL;
    bool seen = false;

    if (vh_sample_missing("/proc")) {
        g_test_skip(vh_sample_missing("/proc"));
        return;
    }
    g_assert_true(vh_sample_is_runnable("/proc", getpid()));
    thread = g_thread_new("spin", spin, &end);
    found = vh_sample_busiest("/proc", 50000);
    g_assert_cmpuint(found->len, <=, VH_SAMPLE_BUSIEST_MAX);
    for (guint i = 0; i < found->len && !seen; i++) {
        g_autofree char *path =
            g_strdup_printf("/proc/self/task/%d", g_array_index(found, pid_t, i));

        seen = g_file_test(path, G_FILE_TEST_EXISTS);
    }
    g_assert_true(seen);
    g_atomic_int_set(&end, 1);
    g_thread_join(thread);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sample/parse", test_parse);
    g_test_add_func("/sample/share", test_share);
    g_test_add_func("/sample/own-thread", test_own_thread);
    g_test_add_func("/sample/missing", test_missing);
    g_test_add_func("/sample/busiest", test_busiest);
    return g_test_run();
}
