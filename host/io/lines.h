/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of lines that is only appended to, whole line by whole line, and that others may fill,
 * truncate, move or remove meanwhile. For one thread. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct VhLines VhLines;

/* Opens `path` for appending. Once it has grown beyond `most` bytes it is renamed to FILE.1 and
 * begun anew. NULL and a G_FILE_ERROR. */
VhLines *vh_lines_open(const char *path, goffset most, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_lines_close(VhLines *lines);

/* All of the line, which ends with a newline, or nothing of it. 0 or -errno. */
int vh_lines_write(VhLines *lines, const char *line);
