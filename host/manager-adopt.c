// SPDX-License-Identifier: GPL-2.0-or-later
// Waits for the guests whose pins a former daemon has left.
#include "manager-state.h"

#define WAIT_MS 10000 /* for all of them to say what holds */

guint vh_manager_adopt_end(VhManager *manager, const char *why)
{
    g_clear_handle_id(&manager->adopt_timer, g_source_remove);
    g_clear_pointer(&manager->adopting, g_hash_table_unref);
    return vh_round_adopt(manager->round, why);
}

static gboolean on_late(gpointer data)
{
    VhManager *manager = data;

    manager->adopt_timer = 0;
    vh_journal_step(manager->journal, "", "adoption", "not every guest has said in time what holds", NULL, NULL);
    vh_manager_adopt_end(manager, "a guest has not said in time what holds");
    return G_SOURCE_REMOVE;
}

/* One that will come is waited for; where libvirt tells which there are, each might. `facts`: it is not only
 * threads beside its vCPUs that were placed, which policy alone does. */
static bool is_waited_for(const VhManager *manager, const char *guest, bool facts)
{
    const struct vh_entry *entry = vh_manager_find(manager, guest, NULL);

    if (!entry)
        return manager->config->libvirt != NULL;
    return !vh_guest_is_settled(entry->guest) && (facts || !vh_guest_process(entry->guest));
}

void vh_manager_adopt_look(VhManager *manager)
{
    GHashTableIter iter;
    gpointer name = NULL;
    gpointer facts = NULL;

    if (!manager->adopting)
        return;
    g_hash_table_iter_init(&iter, manager->adopting);
    while (g_hash_table_iter_next(&iter, &name, &facts)) {
        if (is_waited_for(manager, name, facts != NULL))
            return;
        g_hash_table_iter_remove(&iter);
    }
    vh_manager_adopt_end(manager, "the guests have said what holds");
}

void vh_manager_adopt_begin(VhManager *manager)
{
    const struct vh_saved_slot *slot = NULL;

    if (!vh_round_is_adopting(manager->round))
        return;
    manager->adopting = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    while ((slot = vh_saved_next_left(manager->saved, slot))) {
        g_autofree char *name = g_strndup(slot->guest, sizeof(slot->guest));
        bool facts = slot->vcpu < VH_TARGET_EMULATOR || g_hash_table_lookup(manager->adopting, name);

        g_hash_table_insert(manager->adopting, g_steal_pointer(&name), GINT_TO_POINTER(facts));
    }
    manager->adopt_timer = g_timeout_add(WAIT_MS, on_late, manager);
    vh_manager_adopt_look(manager);
}
