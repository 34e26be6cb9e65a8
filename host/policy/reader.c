// SPDX-License-Identifier: GPL-2.0-or-later
// What the reading of all sections has in common.
#include "policy/reader.h"

#include <string.h>

#include "base/error.h"

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

int vh_policy_bool(const char *value, bool *result, GError **error)
{
    static const char *const yes_words[] = {"true", "yes", "on", NULL};
    static const char *const no_words[] = {"false", "no", "off", NULL};
    bool yes = g_strv_contains(yes_words, value);

    if (!yes && !g_strv_contains(no_words, value)) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "\"%s\" is neither yes nor no",
                    value);
        return -1;
    }
    *result = yes;
    return 0;
}

int vh_policy_share(const char *value, unsigned *percent, GError **error)
{
    g_autofree char *plain = g_strndup(value, strlen(value) - g_str_has_suffix(value, "%"));
    guint64 number = 0;

    if (!g_ascii_string_to_unsigned(plain, 10, 0, 100, &number, NULL)) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is no share from 0%% to 100%%", value);
        return -1;
    }
    *percent = (unsigned)number;
    return 0;
}

int vh_policy_cpus(const char *value, const struct vh_policy_world *world, struct vh_cpuset *cpus,
                   GError **error)
{
    struct vh_cpuset absent;

    if (vh_cpuset_parse(cpus, value, error) < 0)
        return -1;
    absent = *cpus;
    if (world->cpus)
        vh_cpuset_sub(&absent, world->cpus);
    if (world->cpus && !vh_cpuset_empty(&absent)) {
        g_autofree char *present = vh_cpuset_format(world->cpus);

        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "CPU %d is not on this host (%s)",
                    vh_cpuset_next(&absent, 0), present);
        return -1;
    }
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
                                                const char *name, const char *path,
                                                const struct vh_origin *origin)
{
    struct vh_policy_program *program = g_new0(struct vh_policy_program, 1);

    program->name = g_strdup(name);
    program->path = g_strdup(path);
    program->tunables = g_byte_array_new();
    program->origin = *origin;
    g_ptr_array_add(reader->policy->programs, program);
    return program;
}

struct vh_policy_program *vh_policy_need_program(const struct vh_policy_reader *reader,
                                                 const char *word, const struct vh_origin *origin,
                                                 GError **error)
{
    struct vh_policy_program *program = vh_policy_program(reader->policy, word);
    g_autoptr(VhObject) object = NULL;
    g_autofree char *base = NULL;
    const char *path = NULL;
    bool is_path = strchr(word, '/') != NULL;

    if (program && program->object)
        return program;
    if (is_path && !g_path_is_absolute(word)) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is neither a name nor an absolute path", word);
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
        program = vh_policy_add_program(reader, base, path, origin);
    program->object = g_steal_pointer(&object);
    return program;
}
