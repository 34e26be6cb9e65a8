// SPDX-License-Identifier: GPL-2.0-or-later
// Reads key files into entries with lines.
#include "base/keytext.h"

#include <stdbool.h>
#include <string.h>

static void entry_free(gpointer data)
{
    struct vh_keytext_entry *entry = data;

    g_free(entry->section);
    g_free(entry->key);
    g_free(entry->value);
    g_free(entry);
}

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;

    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

static void complain(GPtrArray *problems, const char *label, unsigned line, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static void complain(GPtrArray *problems, const char *label, unsigned line, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(problems, g_strdup_printf("%s:%u: %s", label, line, text));
}

/* One line, stripped. NULL: it says nothing, or was complained about. */
static struct vh_keytext_entry *read_line(const char *label, char *text, unsigned line,
                                          const char *section, GPtrArray *problems)
{
    struct vh_keytext_entry *entry = NULL;
    char *end = NULL;

    if (!*text || *text == '#')
        return NULL;
    end = *text == '[' ? text + strlen(text) - 1 : strchr(text, '=');
    if (*text == '[' && (*end != ']' || end == text + 1)) {
        complain(problems, label, line, "\"%s\" is no section: write [NAME]", text);
        return NULL;
    }
    if (!end || end == text) {
        complain(problems, label, line,
                 "\"%s\" is neither a section, KEY = VALUE nor a comment with #", text);
        return NULL;
    }
    if (*text != '[' && !section) {
        complain(problems, label, line,
                 "\"%s\" stands before the first section: write [NAME] above it", text);
        return NULL;
    }
    *end = 0;
    entry = g_new0(struct vh_keytext_entry, 1);
    entry->line = line;
    entry->section = g_strdup(*text == '[' ? text + 1 : section);
    if (*text == '[')
        return entry;
    entry->key = g_strdup(g_strchomp(text));
    entry->value = g_strdup(g_strstrip(end + 1));
    return entry;
}

static bool add_once(GHashTable *seen, struct vh_keytext_entry *entry, const char *label,
                     GPtrArray *problems)
{
    g_autofree char *where =
        g_strdup_printf("%s\n%s", entry->section, entry->key ? entry->key : "");
    unsigned first = GPOINTER_TO_UINT(g_hash_table_lookup(seen, where));

    if (!first) {
        g_hash_table_insert(seen, g_steal_pointer(&where), GUINT_TO_POINTER(entry->line));
        return true;
    }
    complain(problems, label, entry->line, "[%s]%s%s is there twice (first in line %u): remove one",
             entry->section, entry->key ? " " : "", entry->key ? entry->key : "", first);
    return false;
}

GPtrArray *vh_keytext_read(const char *label, const char *text, gsize len, GPtrArray *problems)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_auto(GStrv) lines = NULL;
    const char *bad = NULL;
    const char *section = NULL;
    guint known = problems->len;

    if (len > VH_KEYTEXT_MAX) {
        complain(problems, label, 1, "the file has %" G_GSIZE_FORMAT " bytes, the limit is %u", len,
                 VH_KEYTEXT_MAX);
        return NULL;
    }
    if (!g_utf8_validate(text, (gssize)len, &bad)) {
        complain(problems, label, line_of(text, bad), "the line is not UTF-8 text");
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        struct vh_keytext_entry *entry =
            read_line(label, g_strstrip(lines[i]), i + 1, section, problems);

        if (!entry)
            continue;
        g_ptr_array_add(entries, entry);
        if (!add_once(seen, entry, label, problems))
            continue;
        if (!entry->key)
            section = entry->section;
    }
    return problems->len > known ? NULL : g_steal_pointer(&entries);
}
