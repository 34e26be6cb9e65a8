// SPDX-License-Identifier: GPL-2.0-or-later
// Makes text that guests choose harmless on a terminal, and measures it.
#include "base/printable.h"

bool vh_text_is_control(gunichar c)
{
    return !g_unichar_isprint(c) || c == 0x2028 || c == 0x2029;
}

char *vh_text_printable(const char *text, bool lines)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_new(NULL);
    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if (!vh_text_is_control(c) || (lines && (c == '\n' || c == '\t')))
            g_string_append_unichar(out, c);
        else if (c < 0x100)
            g_string_append_printf(out, "\\x%02x", c);
        else
            g_string_append_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    return g_string_free(out, FALSE);
}

int vh_text_char_width(gunichar c)
{
    if (g_unichar_iszerowidth(c))
        return 0;
    return g_unichar_iswide(c) ? 2 : 1;
}

int vh_text_width(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text = g_utf8_next_char(text))
        width += vh_text_char_width(g_utf8_get_char(text));
    return width;
}
