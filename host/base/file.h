/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads files, and says in our words why one cannot be read. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Makes the message of `error`, which GLib has set about `path`, "PATH: REASON". Domain and code
 * stay.
 */
void vh_file_say(const char *path, GError *error);

/* As g_file_get_contents, with such a message. */
bool vh_file_read(const char *path, char **text, gsize *len,
                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
