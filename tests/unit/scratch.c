/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories that tests make for themselves. */
#include "scratch.h"

#include <glib.h>
#include <glib/gstdio.h>

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

void scratch_remove(char *directory)
{
    remove_tree(directory);
    g_free(directory);
}
