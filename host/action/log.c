// SPDX-License-Identifier: GPL-2.0-or-later
// log TEXT: a line in the journal, in which each {FIELD} is the field's value.
#include <string.h>

#include "action/action.h"
#include "base/error.h"

static int parse(const char *words, struct vh_do *what, GError **error)
{
    (void)error;
    what->first = g_strdup(words);
    return 0;
}

/* Appends text with its fields; `record` NULL: only checks that they are there. 0 or -1. */
static int expand(const char *text, const struct vh_kind *kind, const uint8_t *record, GString *out,
                  GError **error)
{
    const char *at = text;

    while (*at) {
        const char *open = strchr(at, '{');
        const char *close = open ? strchr(open, '}') : NULL;
        g_autofree char *path = NULL;
        struct vh_fieldref ref;

        if (!open)
            break;
        if (!close)
            return vh_invalid(error, "\"%s\" has no \"}\"", open);
        path = g_strndup(open + 1, (gsize)(close - open - 1));
        if (vh_fieldref_find(kind, path, &ref, error) < 0)
            return -1;
        if (record) {
            g_string_append_len(out, at, open - at);
            vh_fieldref_print(kind, &ref, record, out);
        }
        at = close + 1;
    }
    if (record)
        g_string_append(out, at);
    return 0;
}

static int bind(const struct vh_do *what, const struct vh_kind *kind, struct vh_bound_do *bound,
                GError **error)
{
    (void)bound;
    return expand(what->first, kind, NULL, NULL, error);
}

static char *say(const struct vh_do *what, const struct vh_kind *kind, const uint8_t *record)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (expand(what->first, kind, record, out, NULL) < 0)
        g_string_assign(out, what->first);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

const struct vh_action vh_action_log = {
    .name = "log",
    .words = "TEXT",
    .parse = parse,
    .bind = bind,
    .say = say,
};
