// SPDX-License-Identifier: GPL-2.0-or-later
// Merges the policy files and reads their sections.
#include "policy/policy.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "policy/reader.h"

#define PROGRAM "program "
#define GUEST "guest "
#define RULE "rule "

static const char *const section_names[] = {"guest",  "rule",    "program", "host",
                                            "daemon", "libvirt", NULL};
static const char *const main_names[] = {"daemon", "libvirt", NULL}; /* config/vhintd.h */

/* ---- files to sections ---- */

static void section_free(gpointer data)
{
    struct vh_policy_section *section = data;

    g_free(section->name);
    g_ptr_array_unref(section->entries);
    g_free(section);
}

/* "guest  x" is "guest x". */
static char *tidy_name(const char *name)
{
    g_auto(GStrv) words = g_strsplit(name, " ", 2);
    g_autofree char *rest = words[0] && words[1] ? g_strstrip(g_strdup(words[1])) : NULL;

    return rest && *rest ? g_strdup_printf("%s %s", words[0], rest) : g_strstrip(g_strdup(name));
}

static struct vh_policy_section *find_section(const struct vh_policy_reader *reader,
                                              GHashTable *by_name, const char *raw,
                                              const struct vh_origin *origin)
{
    g_autofree char *name = tidy_name(raw);
    struct vh_policy_section *section = g_hash_table_lookup(by_name, name);

    if (section)
        return section;
    section = g_new0(struct vh_policy_section, 1);
    section->name = g_steal_pointer(&name);
    section->origin = *origin;
    section->entries = g_ptr_array_new_with_free_func(vh_policy_entry_free);
    g_ptr_array_add(reader->sections, section);
    g_hash_table_insert(by_name, section->name, section);
    return section;
}

static void merge_file(const struct vh_policy_reader *reader, const struct vh_policy_text *text,
                       GHashTable *by_name)
{
    g_autoptr(GPtrArray) entries =
        vh_keytext_read(text->label, text->text, text->len, reader->problems);
    struct vh_policy_section *section = NULL;

    for (guint i = 0; entries && i < entries->len; i++) {
        const struct vh_keytext_entry *read = g_ptr_array_index(entries, i);
        struct vh_origin origin = {g_intern_string(text->label), read->line};
        struct vh_policy_entry *entry = NULL;

        if (!read->key) {
            section = find_section(reader, by_name, read->section, &origin);
            section->main |= text->main;
            continue;
        }
        g_assert(section); /* a key stands in one, or is no entry */
        entry = vh_policy_entry(section, read->key);
        if (!entry) {
            entry = g_new0(struct vh_policy_entry, 1);
            entry->key = g_strdup(read->key);
            g_ptr_array_add(section->entries, entry);
        }
        g_free(entry->value);
        entry->value = g_strdup(read->value);
        entry->origin = origin;
    }
}

/* ---- [program NAME] ---- */

static const struct vh_policy_key program_keys[] = {{.name = "path"}, {0}};
static const char *const program_more[] = {VH_POLICY_SET "TUNABLE", NULL};

/* One "set.TUNABLE". 0, or -1 and an error. */
static int take_tunable(const struct vh_policy_entry *entry,
                        const struct vh_policy_program *program, GError **error)
{
    const char *name = entry->key + strlen(VH_POLICY_SET);

    if (program->object && vh_tunables_check(program->object, name, entry->value, error) < 0)
        return -1;
    return vh_tunables_pack(program->tunables, name, entry->value, error);
}

static void read_program(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    const char *name = section->name + strlen(PROGRAM);
    const struct vh_policy_entry *path = vh_policy_entry(section, "path");
    struct vh_policy_program *program = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < section->entries->len; i++) {
        const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, i);

        if (entry != path && !g_str_has_prefix(entry->key, VH_POLICY_SET))
            vh_policy_refuse_key(reader, section, entry, program_keys, program_more);
    }
    if (path && !g_path_is_absolute(path->value)) {
        vh_policy_refuse(reader, section, path, "\"%s\" is not an absolute path: begin it with /",
                         path->value);
        return;
    }
    program = vh_policy_add_program(reader, name, path ? path->value : NULL);
    program->object = reader->world->read_object(name, program->path, reader->world->data, &error);
    if (!program->object)
        vh_policy_refuse(reader, section, path, "%s", error->message);
    for (guint i = 0; i < section->entries->len; i++) {
        const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, i);
        g_autoptr(GError) wrong = NULL;

        if (g_str_has_prefix(entry->key, VH_POLICY_SET) && take_tunable(entry, program, &wrong) < 0)
            vh_policy_refuse(reader, section, entry, "%s", wrong->message);
    }
}

/* Programs that lie in the directory and that nobody has named: their kinds are known to rules. */
static void add_installed(struct vh_policy_reader *reader)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (!reader->world->list_objects)
        return;
    reader->world->list_objects(names, reader->world->data);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (!vh_policy_program(reader->policy, name))
            vh_policy_add_program(reader, name, NULL)->object =
                reader->world->read_object(name, NULL, reader->world->data, NULL);
    }
}

/* ---- all of it ---- */

typedef void (*section_func)(struct vh_policy_reader *reader,
                             const struct vh_policy_section *section);

static void read_each(struct vh_policy_reader *reader, const char *prefix, section_func func)
{
    for (guint i = 0; i < reader->sections->len; i++) {
        const struct vh_policy_section *section = g_ptr_array_index(reader->sections, i);

        if (g_str_has_suffix(prefix, " ") ? g_str_has_prefix(section->name, prefix)
                                          : g_str_equal(section->name, prefix))
            func(reader, section);
    }
}

static void check_sections(const struct vh_policy_reader *reader)
{
    for (guint i = 0; i < reader->sections->len; i++) {
        const struct vh_policy_section *section = g_ptr_array_index(reader->sections, i);
        const char *name = section->name;
        g_autofree char *word = g_strndup(name, strcspn(name, " "));
        const char *best = vh_nearest(word, section_names);
        bool named = !best || (!g_str_equal(best, "host") && !g_strv_contains(main_names, best));

        if (g_str_has_prefix(name, GUEST) || g_str_has_prefix(name, RULE) ||
            g_str_has_prefix(name, PROGRAM) || g_str_equal(name, "host") ||
            (section->main && g_strv_contains(main_names, name)))
            continue;
        if (g_strv_contains(main_names, name))
            vh_policy_refuse(reader, section, NULL, "belongs in vhint.conf");
        else
            vh_policy_refuse(reader, section, NULL, "unknown section; did you mean [%s%s]?",
                             best ? best : "guest", named ? " NAME" : "");
    }
}

VhPolicy *vh_policy_parse(const struct vh_policy_text *texts, unsigned count,
                          const struct vh_policy_world *world, GPtrArray *problems)
{
    g_autoptr(VhPolicy) policy = vh_policy_new();
    g_autoptr(GPtrArray) sections = g_ptr_array_new_with_free_func(section_free);
    g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
    struct vh_policy_reader reader = {policy, world, problems, sections};
    guint known = problems->len;

    for (unsigned i = 0; i < count; i++)
        merge_file(&reader, &texts[i], by_name);
    check_sections(&reader);
    read_each(&reader, "host", vh_policy_read_host);
    read_each(&reader, PROGRAM, read_program);
    read_each(&reader, RULE, vh_policy_read_rule);
    vh_policy_read_fallbacks(&reader);
    read_each(&reader, GUEST, vh_policy_read_guest);
    add_installed(&reader);
    vh_policy_check_rules(&reader);
    vh_policy_sort_guests(policy);
    vh_policy_check_pools(&reader);
    return problems->len > known ? NULL : g_steal_pointer(&policy);
}
