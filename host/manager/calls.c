// SPDX-License-Identifier: GPL-2.0-or-later
// The manager's part of the control interface: what it shows and what people ask of it.
#include <string.h>

#include "hint/tunables.h"
#include "manager/state.h"
#include "msg.h"

#define PAGE 1024u /* guests and threads: half a millisecond */

VhPortrait *vh_manager_portrait(VhManager *manager, const char *guest, GError **error)
{
    const struct vh_entry *entry = vh_manager_find(manager, guest, error);

    return entry ? vh_round_portray(manager->round, entry) : NULL;
}

/* The position of the first entry that came after the one with that number. */
static guint find_after(const GPtrArray *entries, guint64 serial)
{
    guint low = 0;
    guint high = entries->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (((const struct vh_entry *)g_ptr_array_index(entries, middle))->serial > serial)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

GPtrArray *vh_manager_portraits(VhManager *manager, guint64 *last, bool brief)
{
    GPtrArray *portraits = g_ptr_array_new_with_free_func((GDestroyNotify)vh_portrait_unref);
    const GPtrArray *entries = manager->entries;
    guint64 serial = 0;
    unsigned done = 0;
    guint i = 0;

    for (i = find_after(entries, *last); i < entries->len && done < PAGE; i++) {
        struct vh_entry *entry = g_ptr_array_index(entries, i);
        VhPortrait *portrait =
            brief ? vh_round_show_brief(entry) : vh_round_show(manager->round, entry);

        g_ptr_array_add(portraits, portrait);
        done += 1 + portrait->vcpus + portrait->helpers;
        serial = entry->serial;
    }
    *last = i < entries->len ? serial : 0;
    return portraits;
}

GVariant *vh_manager_explain(VhManager *manager, const char *guest, GError **error)
{
    const struct vh_entry *entry = vh_manager_find(manager, guest, error);

    return entry ? vh_round_explain(manager->round, entry) : NULL;
}

GVariant *vh_manager_programs(VhManager *manager, const char *guest, GError **error)
{
    const struct vh_entry *entry = vh_manager_find(manager, guest, error);

    return entry ? vh_guest_describe_programs(entry->guest) : NULL;
}

char **vh_manager_hints(VhManager *manager, const char *guest, GError **error)
{
    const struct vh_entry *entry = vh_manager_find(manager, guest, error);

    return entry ? vh_guest_describe_facts(entry->guest) : NULL;
}

/* What applies to `entry`: (key, value, file, line) each. */
static GVariant *describe_lines(const struct vh_entry *entry)
{
    const VhGuestPolicy *policy = vh_guest_policy(entry->guest);
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sssu)"));

    for (guint i = 0; i < policy->lines->len; i++) {
        const struct vh_policy_line *line = g_ptr_array_index(policy->lines, i);

        g_variant_builder_add(&builder, "(sssu)", line->key, line->value, line->origin.file,
                              line->origin.line);
    }
    return g_variant_builder_end(&builder);
}

GVariant *vh_manager_policy(VhManager *manager, const char *guest, GError **error)
{
    const struct vh_entry *entry = *guest ? vh_manager_find(manager, guest, error) : NULL;
    const GPtrArray *problems = vh_policy_store_problems(manager->policy);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    if (*guest && !entry)
        return NULL;
    g_autofree char *reserve = vh_cpuset_format(&vh_policy_store_get(manager->policy)->reserve);
    g_variant_dict_insert_value(
        &dict, "problems", g_variant_new_strv((const char *const *)problems->pdata, problems->len));
    g_variant_dict_insert(&dict, "reserve", "s", reserve);
    if (entry)
        g_variant_dict_insert_value(&dict, "lines", describe_lines(entry));
    return g_variant_dict_end(&dict);
}

/* Those of an a{ss}, packed; NULL and an error for what LOAD cannot carry. */
static GBytes *read_tunables(GVariant *tunables, GError **error)
{
    g_autoptr(GByteArray) packed = g_byte_array_new();
    GVariantIter iter;
    const char *name = NULL;
    const char *value = NULL;

    if (tunables) {
        g_variant_iter_init(&iter, tunables);
        while (g_variant_iter_next(&iter, "{&s&s}", &name, &value))
            if (vh_tunables_pack(packed, name, value, error) < 0)
                return NULL;
    }
    return vh_tunables_bytes(packed);
}

void vh_manager_inject(VhManager *manager, const char *guest, const char *name, GBytes *object,
                       GVariant *tunables, bool replace, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    g_autoptr(GVariant) held = tunables ? g_variant_ref_sink(tunables) : NULL;
    g_autoptr(VhObject) read = NULL;
    g_autoptr(GBytes) packed = NULL;
    GError *error = NULL;
    const struct vh_entry *entry = vh_manager_find(manager, guest, &error);

    g_task_set_task_data(task, g_strdup(guest), g_free);
    packed = entry ? read_tunables(held, &error) : NULL;
    read = packed ? vh_object_read(object, name, &error) : NULL;
    if (!read) {
        g_task_return_error(task, error);
        return;
    }
    vh_programs_inject(vh_guest_programs(entry->guest), g_steal_pointer(&read),
                       g_steal_pointer(&packed), replace, g_steal_pointer(&task));
}

GVariant *vh_manager_inject_finish(VhManager *manager, GAsyncResult *result, GError **error)
{
    g_autofree char *name = g_task_propagate_pointer(G_TASK(result), error);
    const char *guest = g_task_get_task_data(G_TASK(result));
    const struct vh_entry *entry = name ? vh_manager_find(manager, guest, error) : NULL;
    VhPrograms *programs = entry ? vh_guest_programs(entry->guest) : NULL;

    if (!programs)
        return NULL;
    for (guint i = 0; i < vh_programs_count(programs); i++) {
        const struct vh_managed *managed = vh_programs_get(programs, i);

        if (g_str_equal(managed->name, name))
            return vh_guest_describe_program(entry->guest, managed);
    }
    g_set_error(error, VH_ERROR, VH_ERROR_NO_SUCH_PROGRAM, "%s was ejected meanwhile", name);
    return NULL;
}

void vh_manager_eject(VhManager *manager, const char *guest, const char *program,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    GError *error = NULL;
    const struct vh_entry *entry = vh_manager_find(manager, guest, &error);

    if (!entry)
        g_task_return_error(task, error);
    else
        vh_programs_eject(vh_guest_programs(entry->guest), program, g_steal_pointer(&task));
}

int vh_manager_eject_finish(VhManager *manager, GAsyncResult *result, GError **error)
{
    (void)manager;
    return (int)g_task_propagate_int(G_TASK(result), error);
}

/* Returns 0, or -1 and an error. */
static int set_held(VhManager *manager, const char *guest, bool held, GError **error)
{
    if (*guest && !vh_manager_find(manager, guest, error))
        return -1;
    for (guint i = 0; i < manager->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        if (*guest && !g_str_equal(vh_entry_name(entry), guest))
            continue;
        if (entry->held != held)
            vh_journal_step(manager->journal, vh_entry_name(entry), held ? "release" : "resume",
                            "asked for by hand", NULL, NULL);
        entry->held = held;
        vh_entry_redraw(entry);
        if (held)
            vh_round_take(manager->round, entry);
        vh_manager_note_travel(entry);
        if (!held && g_hash_table_size(entry->off)) {
            const struct vh_config_guest *config = vh_guest_config(entry->guest);

            g_hash_table_remove_all(entry->off);
            config->maker->retake(config);
        }
    }
    return 0;
}

int vh_manager_release(VhManager *manager, const char *guest, GError **error)
{
    if (set_held(manager, guest, true, error) < 0)
        return -1;
    vh_manager_refresh_threads(manager);
    if (!*guest)
        vh_round_take_absent(manager->round, NULL);
    return (int)vh_round_run(manager->round, "released by hand");
}

int vh_manager_resume(VhManager *manager, const char *guest, GError **error)
{
    if (set_held(manager, guest, false, error) < 0)
        return -1;
    vh_manager_refresh_threads(manager);
    vh_round_run(manager->round, "resumed by hand");
    return 0;
}

guint vh_manager_hand_over(VhManager *manager, const char *why)
{
    manager->handing = g_get_monotonic_time() + (gint64)VH_HANDOVER_SECONDS * G_USEC_PER_SEC;
    vh_journal_step(manager->journal, "", "handover", why, NULL, NULL);
    return VH_HANDOVER_SECONDS;
}
