/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts who opens what in a directory. */
#pragma once

#include <glib.h>

struct opens {
    int fd;
};

/* From now on, of `directory` and the files in it. */
struct opens opens_of(const char *directory);
/* How often `name` was opened since the last count; "": the directory itself. Fails where the
 * kernel lost count.
 */
guint opens_count(struct opens *opens, const char *name);
void opens_end(struct opens *opens);
