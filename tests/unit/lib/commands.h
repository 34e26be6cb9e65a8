/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a monitor's client sends: JSON objects that follow one another without a line's end. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The length of the first; 0: it is not whole. */
static inline gsize command_length(const GString *input)
{
    guint depth = 0;
    bool quoted = false;

    for (gsize i = 0; i < input->len; i++) {
        if (quoted && input->str[i] == '\\')
            i++;
        else if (input->str[i] == '"')
            quoted = !quoted;
        else if (!quoted && input->str[i] == '{')
            depth++;
        else if (!quoted && input->str[i] == '}' && --depth == 0)
            return i + 1;
    }
    return 0;
}
