/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/herd.h"

#include "lib/scratch.h"

static void on_policy(G_GNUC_UNUSED gpointer data)
{
}

static void on_policy_refused(const GPtrArray *problems, G_GNUC_UNUSED gpointer data)
{
    g_error("%s", (const char *)g_ptr_array_index(problems, 0));
}

static const struct vh_policy_store_funcs policy_funcs = {.changed = on_policy,
                                                          .refused = on_policy_refused};

static void on_changed(G_GNUC_UNUSED VhGuest *guest, G_GNUC_UNUSED const char *why,
                       G_GNUC_UNUSED gpointer data)
{
}

static void on_shown(G_GNUC_UNUSED VhGuest *guest, gpointer entry)
{
    vh_entry_redraw(entry);
}

static const struct vh_guest_funcs no_funcs = {.changed = on_changed, .shown = on_shown};

static void entry_free(gpointer data)
{
    struct vh_entry *entry = data;
    struct vh_config_guest *config = (struct vh_config_guest *)vh_guest_config(entry->guest);

    vh_entry_free(entry);
    g_free(config->name);
    g_free(config);
}

static void open_round(struct herd *herd)
{
    g_autoptr(GError) error = NULL;

    herd->saved = vh_saved_open(herd->path, &error);
    g_assert_no_error(error);
    herd->entries = g_ptr_array_new_with_free_func(entry_free);
    herd->round =
        vh_round_new(&fake_host, herd->entries, herd->policy, herd->saved, herd->journal, &error);
    g_assert_no_error(error);
}

void herd_begin(struct herd *herd, const char *policy)
{
    g_autofree char *journal = NULL;
    g_autofree char *conf = NULL;
    g_autofree char *none = NULL;
    g_autofree char *rules = NULL;
    g_autoptr(GError) error = NULL;

    fake_host_begin();
    herd->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    herd->path = g_build_filename(herd->directory, "saved", NULL);
    if (!herd->funcs)
        herd->funcs = &no_funcs;
    journal = g_build_filename(herd->directory, "journal", NULL);
    conf = g_build_filename(herd->directory, "vhint.conf", NULL);
    none = g_build_filename(herd->directory, "none", NULL);
    rules = g_build_filename(herd->directory, "policy.d", NULL);
    scratch_write(herd->directory, "vhint.conf", policy);
    /* In the place of the built-in ones, whose programs are not there. */
    scratch_write(herd->directory, "policy.d/00-affinity.conf", "");
    scratch_write(herd->directory, "policy.d/00-sched.conf", "");
    herd->journal = vh_journal_new(journal, &error);
    g_assert_no_error(error);
    herd->policy = vh_policy_store_new(
        &(struct vh_policy_place){.main = conf, .directory = rules, .program_dir = none},
        &policy_funcs, herd);
    open_round(herd);
}

static void close_round(struct herd *herd)
{
    g_ptr_array_set_size(herd->entries, 0);
    vh_round_free(g_steal_pointer(&herd->round));
    g_ptr_array_unref(g_steal_pointer(&herd->entries));
    vh_saved_close(g_steal_pointer(&herd->saved));
}

void herd_stop(struct herd *herd)
{
    if (!herd->round)
        return;
    vh_round_undo(herd->round, "vhintd stops");
    close_round(herd);
}

char *herd_end_journal(struct herd *herd)
{
    g_autofree char *path = g_build_filename(herd->directory, "journal", NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    herd_stop(herd);
    vh_policy_store_free(herd->policy);
    vh_journal_free(herd->journal);
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    scratch_remove(g_steal_pointer(&herd->directory));
    g_free(herd->path);
    fake_host_end();
    return text;
}

void herd_end(struct herd *herd)
{
    if (herd->directory)
        g_free(herd_end_journal(herd));
}

void herd_replace(struct herd *herd)
{
    vh_round_leave_all(herd->round, "vhintd hands over");
    close_round(herd);
    open_round(herd);
}

struct vh_entry *herd_add(struct herd *herd, const char *name, unsigned vcpus, pid_t first)
{
    struct vh_config_guest *config = g_new0(struct vh_config_guest, 1);
    struct vh_entry *entry = vh_entry_new(herd->manager);
    const struct vh_guest_id id = {.name = name};

    config->name = g_strdup(name);
    entry->guest =
        vh_guest_new(config, herd->directory, NULL, NULL, NULL, herd->journal, herd->funcs, entry);
    vh_guest_set_policy(entry->guest, vh_policy_for(vh_policy_store_get(herd->policy), &id));
    for (unsigned i = 0; i < vcpus; i++)
        fake_guest_add_vcpu(entry->guest, first + (pid_t)i);
    g_ptr_array_add(herd->entries, entry);
    vh_round_come(herd->round, entry);
    return entry;
}

void herd_remove(struct herd *herd, struct vh_entry *entry)
{
    vh_round_leave(herd->round, entry, "the guest has gone");
    g_ptr_array_remove(herd->entries, entry);
}

char *herd_vcpu(struct herd *herd, const struct vh_entry *entry, unsigned position, const char *key)
{
    g_autoptr(VhPortrait) portrait = vh_round_portray(herd->round, entry);
    g_autoptr(GVariant) guest = g_variant_ref_sink(vh_portrait_describe(portrait));
    g_autoptr(GVariant) vcpus = g_variant_lookup_value(guest, "vcpu", G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GVariant) vcpu = g_variant_get_child_value(vcpus, position);
    char *value = NULL;

    g_assert_true(g_variant_lookup(vcpu, key, "s", &value));
    return value;
}
