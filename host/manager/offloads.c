// SPDX-License-Identifier: GPL-2.0-or-later
// Offloads as a whole: whether there are any, where they are pinned, and what is told of them.
#include "round/offloads.h"
#include "manager/state.h"
#include "net/kinds.h"
#include "net/pins.h"
#include "policy/policy.h"

#define WAIT_MS 10000 /* for guests that a former vhintd has left offloads of */
#define LATER \
    "vhintd was started while no guest's policy had offloads, and has shut itself off from BPF: " \
    "restart it"

static void on_shown(const char *guest, gpointer data)
{
    struct vh_entry *entry = vh_round_find(((VhManager *)data)->round, guest);

    if (entry)
        vh_entry_redraw(entry);
}

static gboolean on_late(gpointer data)
{
    VhManager *manager = data;

    manager->offload_timer = 0;
    vh_offloads_settle(manager->offloads);
    return G_SOURCE_REMOVE;
}

void vh_manager_open_offloads(VhManager *manager)
{
    const VhConfig *config = manager->config;
    const struct vh_offloads_host host = {
        "/proc", VH_OFFLOADS_LOOK_US, {config->offload_dir, config->bpf_dir, vh_net_kinds}};
    g_autoptr(GError) error = NULL;

    if (!vh_policy_offloads(vh_policy_store_get(manager->policy))) {
        /* What a former vhintd left, which had others. */
        vh_net_pins_remove(manager->saved_path);
        manager->offload_problem = g_strdup(LATER);
        return;
    }
    if (!vh_net_pins_note(manager->saved_path, config->bpf_dir))
        g_warning("%s cannot be noted: offloads of a vhintd that has died stay", config->bpf_dir);
    manager->offloads = vh_offloads_new(&host, manager->journal, on_shown, manager, &error);
    if (!manager->offloads) {
        g_warning("there are no offloads: %s", error->message);
        manager->offload_problem = g_strdup(error->message);
    }
    vh_round_set_offloads(manager->round, manager->offloads);
    if (manager->offloads)
        manager->offload_timer = g_timeout_add(WAIT_MS, on_late, manager);
}

void vh_manager_close_offloads(VhManager *manager, bool leave)
{
    g_clear_handle_id(&manager->offload_timer, g_source_remove);
    if (manager->round)
        vh_round_set_offloads(manager->round, NULL);
    vh_offloads_free(manager->offloads, "vhintd stops", leave);
    if (manager->offloads && !leave)
        vh_net_pins_remove(manager->saved_path);
    manager->offloads = NULL;
    g_clear_pointer(&manager->offload_problem, g_free);
}

bool vh_manager_has_offloads(const VhManager *manager)
{
    return manager->offloads != NULL;
}

/* Of a guest that is to have some, and cannot have any. */
static void add_missing(const VhManager *manager, const struct vh_entry *entry,
                        GVariantBuilder *builder)
{
    const struct vh_offload_limits *limits = &vh_guest_policy(entry->guest)->offload;

    for (guint stage = 0; stage < VH_STAGES; stage++) {
        g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

        if (!(limits->kinds & 1u << stage))
            continue;
        g_variant_dict_insert(&dict, "guest", "s", vh_entry_name(entry));
        g_variant_dict_insert(&dict, "offload", "s", vh_net_kinds[stage]->name);
        g_variant_dict_insert(&dict, "state", "s", "off");
        g_variant_dict_insert(&dict, "problem", "s",
                              entry->held ? "the guest is released by hand"
                                          : manager->offload_problem);
        g_variant_builder_add_value(builder, g_variant_dict_end(&dict));
    }
}

GVariant *vh_manager_offload(VhManager *manager, const char *guest, GError **error)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));

    if (*guest && !vh_manager_find(manager, guest, error))
        return NULL;
    for (guint i = 0; i < manager->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(manager->entries, i);
        g_autoptr(GVariant) of_it = NULL;

        if (*guest && !g_str_equal(vh_entry_name(entry), guest))
            continue;
        if (!manager->offloads || entry->held) {
            add_missing(manager, entry, &builder);
            continue;
        }
        of_it = g_variant_ref_sink(vh_offloads_describe(manager->offloads, vh_entry_name(entry)));
        for (gsize j = 0; j < g_variant_n_children(of_it); j++) {
            g_autoptr(GVariant) one = g_variant_get_child_value(of_it, j);

            g_variant_builder_add_value(&builder, one);
        }
    }
    return g_variant_builder_end(&builder);
}
