/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories that tests make for themselves. */
#include "lib/scratch.h"

#include <glib.h>
#include <glib/gstdio.h>

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir =
        g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
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

void scratch_write(const char *directory, const char *path, const char *text)
{
    g_autofree char *full = g_build_filename(directory, path, NULL);
    g_autofree char *parent = g_path_get_dirname(full);
    g_autofree char *fresh = g_strconcat(full, ".new", NULL);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
    /* Not GLib's own way to replace a file, which waits for the disk. */
    g_assert_true(g_file_set_contents_full(fresh, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
    g_assert_cmpint(g_rename(fresh, full), ==, 0);
}
