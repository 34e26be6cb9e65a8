/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A key file (GKeyFile's syntax) whose entries know their lines, which GKeyFile does not tell.
 *
 * Stricter than GKeyFile: a section or key that is there twice, which GKeyFile merges, is an error.
 */
#pragma once

#include <glib.h>

#define VH_KEYTEXT_MAX (1u << 20) /* bytes of a file */

struct vh_keytext_entry {
    char *section;
    char *key;     /* NULL: the section's header */
    char *value;   /* as written, without the space around it */
    unsigned line; /* from 1 */
};

/* The entries of `text`, in order, or NULL: then what is wrong was added to `problems` (char *), as
 * "LABEL:LINE: ...". */
GPtrArray *vh_keytext_read(const char *label, const char *text, gsize len, GPtrArray *problems);
