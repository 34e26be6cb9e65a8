// SPDX-License-Identifier: GPL-2.0-or-later
// Reads files, and says in our words why one cannot be read.
#include "base/file.h"

void vh_file_say(const char *path, GError *error)
{
    /* GLib's sentences end with ": " and what strerror(3) says. */
    const char *colon = g_strrstr(error->message, ": ");
    char *message = g_strdup_printf("%s: %s", path, colon ? colon + 2 : error->message);

    g_free(error->message);
    error->message = message;
}

bool vh_file_read(const char *path, char **text, gsize *len, GError **error)
{
    GError *bad = NULL;

    if (g_file_get_contents(path, text, len, &bad))
        return true;
    vh_file_say(path, bad);
    g_propagate_error(error, bad);
    return false;
}
