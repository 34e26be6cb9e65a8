// SPDX-License-Identifier: GPL-2.0-or-later
// What the reading of all sections has in common.
#include "policy/reader.h"

#include <string.h>

#include "base/duration.h"
#include "base/error.h"
#include "base/nearest.h"

void vh_policy_refuse(const struct vh_policy_reader *reader,
                      const struct vh_policy_section *section, const struct vh_policy_entry *entry,
                      const char *format, ...)
{
    const struct vh_origin *origin = entry ? &entry->origin : &section->origin;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(reader->problems, g_strdup_printf("%s:%u: [%s]%s%s: %s", origin->file,
                                                      origin->line, section->name, entry ? " " : "",
                                                      entry ? entry->key : "", text));
}

struct vh_policy_entry *vh_policy_entry(const struct vh_policy_section *section, const char *key)
{
    for (guint i = 0; i < section->entries->len; i++) {
        struct vh_policy_entry *entry = g_ptr_array_index(section->entries, i);

        if (g_str_equal(entry->key, key))
            return entry;
    }
    return NULL;
}

const struct vh_policy_key *vh_policy_key(const struct vh_policy_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (g_str_equal(keys->name, name))
            return keys;
    return NULL;
}

void vh_policy_refuse_key(const struct vh_policy_reader *reader,
                          const struct vh_policy_section *section,
                          const struct vh_policy_entry *entry, const struct vh_policy_key *keys,
                          const char *const *more)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();
    const char *best = NULL;

    for (; keys->name; keys++)
        g_ptr_array_add(known, (char *)keys->name);
    for (; more && *more; more++)
        g_ptr_array_add(known, (char *)*more);
    g_ptr_array_add(known, NULL);
    best = vh_nearest(entry->key, (const char *const *)known->pdata);
    vh_policy_refuse(reader, section, entry, "unknown key; did you mean \"%s\"?",
                     best ? best : (const char *)g_ptr_array_index(known, 0));
}

void vh_policy_take_all(const struct vh_policy_reader *reader,
                        const struct vh_policy_section *section, const struct vh_policy_key *keys,
                        gpointer base)
{
    for (guint i = 0; i < section->entries->len; i++) {
        const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, i);
        const struct vh_policy_key *key = vh_policy_key(keys, entry->key);
        g_autoptr(GError) error = NULL;

        if (!key)
            vh_policy_refuse_key(reader, section, entry, keys, NULL);
        else if (key->take(entry->value, reader, (char *)base + key->at, &error) < 0)
            vh_policy_refuse(reader, section, entry, "%s", error->message);
    }
}

/* ---- as take ---- */

int vh_policy_take_text(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    (void)reader;
    (void)error;
    *(char **)into = g_strdup(value);
    return 0;
}

int vh_policy_take_bool(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    static const char *const yes_words[] = {"true", "yes", "on", NULL};
    static const char *const no_words[] = {"false", "no", "off", NULL};
    bool yes = g_strv_contains(yes_words, value);

    (void)reader;
    if (!yes && !g_strv_contains(no_words, value))
        return vh_invalid(error, "\"%s\" is neither yes nor no", value);
    *(bool *)into = yes;
    return 0;
}

int vh_policy_take_share(const char *value, const struct vh_policy_reader *reader, gpointer into,
                         GError **error)
{
    g_autofree char *plain = g_strndup(value, strlen(value) - g_str_has_suffix(value, "%"));
    guint64 number = 0;

    (void)reader;
    if (!g_ascii_string_to_unsigned(plain, 10, 0, 100, &number, NULL))
        return vh_invalid(error, "\"%s\" is no share from 0%% to 100%%", value);
    *(unsigned *)into = (unsigned)number;
    return 0;
}

int vh_policy_take_cpus(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    const struct vh_cpuset *there = reader->world->cpus;
    struct vh_cpuset cpus;
    struct vh_cpuset absent;

    if (vh_cpuset_parse(&cpus, value, error) < 0)
        return -1;
    absent = cpus;
    if (there)
        vh_cpuset_sub(&absent, there);
    if (there && !vh_cpuset_empty(&absent)) {
        g_autofree char *present = vh_cpuset_format(there);

        return vh_invalid(error, "CPU %d is not on this host (%s)", vh_cpuset_next(&absent, 0),
                          present);
    }
    *(struct vh_cpuset *)into = cpus;
    return 0;
}

int vh_policy_take_time(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    (void)reader;
    return vh_duration_parse(value, into, error);
}

int vh_policy_time(const char *value, gint64 least, gint64 most, gint64 *us, GError **error)
{
    gint64 read = 0;

    if (vh_duration_parse(value, &read, error) < 0)
        return -1;
    if (read < least || read > most) {
        g_autofree char *from = vh_duration_text(least);
        g_autofree char *to = vh_duration_text(most);

        return vh_invalid(error, "\"%s\" is not from %s to %s", value, from, to);
    }
    *us = read;
    return 0;
}

char **vh_policy_split(const char *value)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_auto(GStrv) parts = g_strsplit_set(value, ",; \t", -1);

    for (guint i = 0; parts[i]; i++)
        if (*parts[i])
            g_ptr_array_add(words, g_strdup(parts[i]));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

struct vh_policy_program *vh_policy_add_program(const struct vh_policy_reader *reader,
                                                const char *name, const char *path)
{
    struct vh_policy_program *program = g_new0(struct vh_policy_program, 1);

    program->name = g_strdup(name);
    program->path = g_strdup(path);
    program->tunables = g_byte_array_new();
    g_ptr_array_add(reader->policy->programs, program);
    return program;
}

struct vh_policy_program *vh_policy_need_program(const struct vh_policy_reader *reader,
                                                 const char *word, GError **error)
{
    struct vh_policy_program *program = vh_policy_program(reader->policy, word);
    g_autoptr(VhObject) object = NULL;
    g_autofree char *base = NULL;
    const char *path = NULL;
    bool is_path = strchr(word, '/') != NULL;

    if (program && program->object)
        return program;
    if (is_path && !g_path_is_absolute(word)) {
        vh_invalid(error, "\"%s\" is neither a name nor an absolute path", word);
        return NULL;
    }
    base = g_path_get_basename(word);
    if (g_str_has_suffix(base, ".bpf.o"))
        base[strlen(base) - strlen(".bpf.o")] = 0;
    if (program)
        path = program->path;
    else if (is_path)
        path = word;
    object = reader->world->read_object(base, path, reader->world->data, error);
    if (!object)
        return NULL;
    if (!program)
        program = vh_policy_add_program(reader, base, path);
    program->object = g_steal_pointer(&object);
    return program;
}
