/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/load.h"

#include <glib/gstdio.h>

static char *path;

static void put(const char *text)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_shares(void)
{
    g_autoptr(VhLoad) load = NULL;
    const uint16_t *permille = NULL;

    put("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 0 0 100 0 0 0 0 50 0\ncpu1 0 0 0 100 0 0 0 0 0 0\nintr "
        "1 2 3\n");
    load = vh_load_new(path);
    put("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 110 10 10 110 0 10 10 10 50 0\ncpu1 0 0 0 150 50 0 0 0 0 "
        "0\n"
        "cpu3 7 0 0 0 0 0 0 0 0 0\nintr 1 2 3\n");
    permille = vh_load_read(load, 4, 1000000);
    g_assert_nonnull(permille);
    g_assert_cmpuint(permille[0], ==, 857); /* 60 of 70 */
    g_assert_cmpuint(permille[1], ==, 0);   /* idle, or waiting for a disk */
    g_assert_cmpuint(permille[2], ==, 0);   /* offline */
    g_assert_cmpuint(permille[3], ==, 0);   /* has just come */
    /* Too soon: the same again. */
    put("cpu0 0 0 0 0 0 0 0 0\n");
    permille = vh_load_read(load, 4, 1000000 + VH_LOAD_GAP_US - 1);
    g_assert_cmpuint(permille[0], ==, 857);
    /* Counters that began anew are no load. */
    permille = vh_load_read(load, 4, 1000000 + VH_LOAD_GAP_US);
    g_assert_cmpuint(permille[0], ==, 0);
}

static void test_unknown(void)
{
    g_autoptr(VhLoad) load = NULL;

    g_remove(path);
    load = vh_load_new(path);
    g_assert_null(vh_load_read(load, 2, 1000000));
    put("nonsense\ncpu0\ncpu99999999 1 1 1 1 1 1 1 1\n");
    g_assert_null(vh_load_read(load, 2, 2000000));
}

int main(int argc, char **argv)
{
    g_autofree char *directory = g_dir_make_tmp("vhint-load-XXXXXX", NULL);
    int result = 0;

    path = g_build_filename(directory, "stat", NULL);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load/shares", test_shares);
    g_test_add_func("/load/unknown", test_unknown);
    result = g_test_run();
    g_remove(path);
    g_rmdir(directory);
    g_free(path);
    return result;
}
