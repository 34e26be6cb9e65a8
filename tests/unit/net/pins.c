/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/net/pins.c: what was pinned goes by its note alone. */
#include "net/pins.h"

#include <glib/gstdio.h>

#include "lib/scratch.h"

static void test_remove(void)
{
    char *directory = g_dir_make_tmp("vhint-pins-XXXXXX", NULL);
    g_autofree char *saved = g_build_filename(directory, "saved", "masks", NULL);
    g_autofree char *folder = g_build_filename(directory, "bpf", NULL);
    g_autofree char *other = g_build_filename(directory, "other", "pin", NULL);

    scratch_write(directory, "saved/masks", "");
    scratch_write(directory, "bpf/vh_uplink", "");
    scratch_write(directory, "bpf/egress-7", "");
    scratch_write(directory, "other/pin", "");
    g_assert_false(vh_net_pins_noted(saved));
    g_assert_cmpuint(vh_net_pins_remove(saved), ==, 0);
    g_assert_true(g_file_test(folder, G_FILE_TEST_IS_DIR));
    g_assert_true(vh_net_pins_note(saved, folder));
    g_assert_true(vh_net_pins_noted(saved));
    g_assert_cmpuint(vh_net_pins_remove(saved), ==, 2);
    g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
    g_assert_false(vh_net_pins_noted(saved));
    g_assert_true(g_file_test(saved, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(other, G_FILE_TEST_EXISTS));
    /* A folder that is gone already. */
    g_assert_true(vh_net_pins_note(saved, folder));
    g_assert_cmpuint(vh_net_pins_remove(saved), ==, 0);
    g_assert_false(vh_net_pins_noted(saved));
    scratch_remove(directory);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/pins/remove", test_remove);
    return g_test_run();
}
