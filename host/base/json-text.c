// SPDX-License-Identifier: GPL-2.0-or-later
// Writes JSON by hand, where a builder would cost too much, and makes what a builder wrote
// harmless.
#include "base/json-text.h"

#include <string.h>

#include "base/printable.h"

static bool is_escaped(gunichar c)
{
    return c == '"' || c == '\\' || vh_text_is_control(c);
}

/* As \\, \" or \n, or by UTF-16's code units. */
static void append_escape(GString *out, gunichar c)
{
    if (c == '"' || c == '\\')
        g_string_append_printf(out, "\\%c", (char)c);
    else if (c == '\n')
        g_string_append(out, "\\n");
    else if (c < 0x10000)
        g_string_append_printf(out, "\\u%04x", c);
    else
        g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                               0xdc00 + (c & 0x3ff));
}

gsize vh_json_size(gunichar c)
{
    if (!is_escaped(c))
        return (gsize)g_unichar_to_utf8(c, NULL);
    if (c == '"' || c == '\\' || c == '\n')
        return 2;
    return c < 0x10000 ? 6 : 12;
}

void vh_json_append_string(GString *out, const char *text, gssize len)
{
    g_autofree char *valid = g_utf8_make_valid(text, len);

    g_string_append_c(out, '"');
    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        if (is_escaped(c))
            append_escape(out, c);
        else
            g_string_append_len(out, at, g_utf8_next_char(at) - at);
    }
    g_string_append_c(out, '"');
}

char *vh_json_escape(const char *json)
{
    g_autofree char *valid = g_utf8_make_valid(json, -1);
    GString *out = g_string_sized_new(strlen(valid) + 1);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        if (c >= 0x7f && vh_text_is_control(c))
            append_escape(out, c);
        else
            g_string_append_len(out, at, g_utf8_next_char(at) - at);
    }
    return g_string_free(out, FALSE);
}

gsize vh_json_text_size(const char *text)
{
    gsize length = 0;

    for (const char *at = text; at && *at; at = g_utf8_next_char(at))
        length += vh_json_size(g_utf8_get_char(at));
    return length;
}

/* The bytes from `text` on whose characters take at most `room`. */
static gsize head_of(const char *text, gsize room)
{
    const char *at = text;

    for (gsize size = 0; *at && (size += vh_json_size(g_utf8_get_char(at))) <= room;)
        at = g_utf8_next_char(at);
    return (gsize)(at - text);
}

/* The same, up to the end. */
static const char *tail_of(const char *text, gsize room)
{
    const char *at = text + strlen(text);

    for (gsize size = 0; at > text;) {
        const char *before = g_utf8_prev_char(at);

        size += vh_json_size(g_utf8_get_char(before));
        if (size > room)
            break;
        at = before;
    }
    return at;
}

char *vh_json_cut(const char *text, gsize room)
{
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
    const char *tail = NULL;
    gsize head = 0;

    if (!valid || !valid[head_of(valid, room)])
        return g_steal_pointer(&valid);
    head = head_of(valid, room / 2);
    tail = tail_of(valid, room / 2);
    return g_strdup_printf("%.*s [%zu bytes left out] %s", (int)head, valid,
                           (gsize)(tail - valid) - head, tail);
}
