// SPDX-License-Identifier: GPL-2.0-or-later
// Takes away what was pinned for the next vhintd.
#include "net/pins.h"

#include <unistd.h>

static char *note_of(const char *saved)
{
    g_autofree char *directory = g_path_get_dirname(saved);

    return g_build_filename(directory, "offloads", NULL);
}

bool vh_net_pins_note(const char *saved, const char *folder)
{
    g_autofree char *note = note_of(saved);

    return g_file_set_contents(note, folder, -1, NULL);
}

bool vh_net_pins_noted(const char *saved)
{
    g_autofree char *note = note_of(saved);

    return g_file_test(note, G_FILE_TEST_IS_REGULAR);
}

guint vh_net_pins_remove(const char *saved)
{
    g_autofree char *note = note_of(saved);
    g_autofree char *folder = NULL;
    g_autoptr(GDir) dir = g_file_get_contents(note, &folder, NULL, NULL) && *folder
                              ? g_dir_open(folder, 0, NULL)
                              : NULL;
    const char *name = NULL;
    guint removed = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        removed += unlink(path) == 0;
    }
    if (dir)
        rmdir(folder);
    unlink(note);
    return removed;
}
