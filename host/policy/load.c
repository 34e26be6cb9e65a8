// SPDX-License-Identifier: GPL-2.0-or-later
// Reads policy files and programs from the disk.
#include "policy/load.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/keytext.h"
#include "base/nearest.h"
#include "config/vhintd.h"

#define SUFFIX ".bpf.o"

/* Files that are there though the disk does not have them. */
static const struct {
    const char *name, *label, *text;
} built_in[] = {
    {
        "00-affinity.conf",
        "built-in 00-affinity.conf",
#include "policy/policy-default.inc"
    },
    {
        "00-sched.conf",
        "built-in 00-sched.conf",
#include "policy/policy-sched.inc"
    },
};

struct file {
    char *label;
    char *text;
    gsize len;
    bool main;
};

static void file_free(gpointer data)
{
    struct file *file = data;

    g_free(file->label);
    g_free(file->text);
    g_free(file);
}

/* Takes `text` over. */
static void add_file(GPtrArray *files, const char *label, char *text, gsize len, bool main)
{
    struct file *file = g_new0(struct file, 1);

    *file = (struct file){g_strdup(label), text, len, main};
    g_ptr_array_add(files, file);
}

static void read_file(GPtrArray *files, const char *path, bool main, GPtrArray *problems)
{
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    gsize len = 0;

    if (vh_file_read(path, &text, &len, &error))
        add_file(files, path, text, len, main);
    else if (!main || !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        g_ptr_array_add(problems, g_strdup(error->message));
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Its index in built_in; -1: it is none of those. */
static int find_built_in(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(built_in); i++)
        if (g_str_equal(built_in[i].name, name))
            return (int)i;
    return -1;
}

/* The names of the directory's *.conf, with the built-in ones among them, in order. */
static GPtrArray *list_files(const char *directory, GPtrArray *problems)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(directory, 0, &error);
    const char *name = NULL;
    bool has[G_N_ELEMENTS(built_in)] = {false};

    if (error && !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        vh_file_say(directory, error);
        g_ptr_array_add(problems, g_strdup(error->message));
    }
    while (dir && (name = g_dir_read_name(dir))) {
        if (*name == '.' || !g_str_has_suffix(name, ".conf"))
            continue;
        if (find_built_in(name) >= 0)
            has[find_built_in(name)] = true;
        g_ptr_array_add(names, g_strdup(name));
    }
    for (gsize i = 0; i < G_N_ELEMENTS(built_in); i++)
        if (!has[i])
            g_ptr_array_add(names, g_strdup(built_in[i].name));
    g_ptr_array_sort(names, by_name);
    return g_steal_pointer(&names);
}

static GPtrArray *read_files(const struct vh_policy_place *place, GPtrArray *problems)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(file_free);
    g_autoptr(GPtrArray) names = list_files(place->directory, problems);

    read_file(files, place->main, true, problems);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(place->directory, name, NULL);

        int known = find_built_in(name);

        if (known >= 0 && !g_file_test(path, G_FILE_TEST_EXISTS))
            add_file(files, built_in[known].label, g_strdup(built_in[known].text),
                     strlen(built_in[known].text), false);
        else
            read_file(files, path, false, problems);
    }
    return g_steal_pointer(&files);
}

/* ---- programs ---- */

static void list_objects(GPtrArray *names, gpointer data)
{
    g_autoptr(GDir) dir = g_dir_open(data, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, SUFFIX) && *name != '.')
            g_ptr_array_add(names, g_strndup(name, strlen(name) - strlen(SUFFIX)));
    g_ptr_array_sort(names, by_name);
}

/* What to say of a program that the program directory does not have. */
static void refuse_name(const char *name, const char *program_dir, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *best = NULL;
    g_autofree char *all = NULL;

    list_objects(names, (gpointer)program_dir);
    g_ptr_array_add(names, NULL);
    best = vh_nearest(name, (const char *const *)names->pdata);
    all = g_strjoinv(", ", (char **)names->pdata);
    if (best)
        vh_invalid(
            error,
            "%s has no program \"%s\"; did you mean \"%s\"? (it has %s; of another, give the path)",
            program_dir, name, best, all);
    else if (names->len > 1)
        vh_invalid(error, "%s has no program \"%s\" (it has %s; of another, give the path)",
                   program_dir, name, all);
    else
        vh_invalid(error,
                   "%s has no programs: name the directory that has them ([daemon] program-dir, or "
                   "--program-dir)",
                   program_dir);
}

static VhObject *read_object(const char *name, const char *path, gpointer data, GError **error)
{
    const char *program_dir = data;
    g_autofree char *base = g_strconcat(name, SUFFIX, NULL);
    g_autofree char *file = path ? g_strdup(path) : g_build_filename(program_dir, base, NULL);
    g_autoptr(GBytes) bytes = NULL;
    VhObject *object = NULL;
    char *text = NULL;
    gsize size = 0;

    if (!path && !g_file_test(file, G_FILE_TEST_EXISTS)) {
        refuse_name(name, program_dir, error);
        return NULL;
    }
    if (!g_file_test(file, G_FILE_TEST_EXISTS)) {
        vh_invalid(error, "there is no file %s: name the object of the program", file);
        return NULL;
    }
    if (!vh_file_read(file, &text, &size, error))
        return NULL;
    bytes = g_bytes_new_take(text, size);
    object = vh_object_read(bytes, name, error);
    if (!object)
        g_prefix_error(error, "%s: ", file);
    return object;
}

/* [daemon] program-dir of vhint.conf, which config/vhintd.c checks. */
static char *find_program_dir(const struct vh_policy_place *place, const GPtrArray *files)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; !place->program_dir && i < files->len; i++) {
        const struct file *file = g_ptr_array_index(files, i);
        g_autoptr(GPtrArray) entries =
            file->main ? vh_keytext_read(file->label, file->text, file->len, problems) : NULL;

        for (guint j = 0; entries && j < entries->len; j++) {
            const struct vh_keytext_entry *entry = g_ptr_array_index(entries, j);

            if (g_str_equal(entry->section, "daemon") && entry->key &&
                g_str_equal(entry->key, "program-dir"))
                return g_strdup(entry->value);
        }
    }
    return g_strdup(place->program_dir ? place->program_dir : VH_PROGRAM_DIR);
}

VhPolicy *vh_policy_load(const struct vh_policy_place *place, GPtrArray *problems)
{
    guint known = problems->len;
    g_autoptr(GPtrArray) files = read_files(place, problems);
    g_autofree struct vh_policy_text *texts = g_new0(struct vh_policy_text, files->len);
    g_autofree char *program_dir = find_program_dir(place, files);
    g_autofree char *present_text = NULL;
    struct vh_cpuset present;
    struct vh_policy_world world = {.cpus = place->cpus,
                                    .read_object = read_object,
                                    .list_objects = list_objects,
                                    .data = program_dir};
    VhPolicy *policy = NULL;

    if (!world.cpus &&
        g_file_get_contents("/sys/devices/system/cpu/present", &present_text, NULL, NULL) &&
        vh_cpuset_parse(&present, g_strchomp(present_text), NULL) == 0)
        world.cpus = &present;
    for (guint i = 0; i < files->len; i++) {
        const struct file *file = g_ptr_array_index(files, i);

        texts[i] = (struct vh_policy_text){file->label, file->text, file->len, file->main};
    }
    policy = vh_policy_parse(texts, files->len, &world, problems);
    if (problems->len > known)
        g_clear_pointer(&policy, vh_policy_unref);
    return policy;
}

/* A line that both readers stumble over is told once. */
static void add_once(GPtrArray *problems, const char *text)
{
    if (!g_ptr_array_find_with_equal_func(problems, text, g_str_equal, NULL))
        g_ptr_array_add(problems, g_strdup(text));
}

VhPolicy *vh_policy_check(const struct vh_policy_place *place, GPtrArray *problems)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) others = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(VhConfig) config = vh_config_load(place->main, others, &error);
    g_autofree char *beside = g_path_get_dirname(place->main);
    g_autofree char *fallback = g_build_filename(beside, "policy.d", NULL);
    struct vh_policy_place filled = *place;
    VhPolicy *policy = NULL;

    if (!filled.directory)
        filled.directory = config ? config->policy_dir : fallback;
    policy = vh_policy_load(&filled, problems);
    for (guint i = 0; i < others->len; i++)
        add_once(problems, g_ptr_array_index(others, i));
    /* That there is no main file is no fault. */
    if (!config && !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        add_once(problems, error->message);
    if (problems->len)
        g_clear_pointer(&policy, vh_policy_unref);
    return policy;
}
