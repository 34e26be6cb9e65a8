// SPDX-License-Identifier: GPL-2.0-or-later
// Waits for each guest whose pins a former daemon has left, and for none because of another.
#include "manager/state.h"

#define WAIT_MS 10000 /* for a guest to say what holds */
#define LATE "it has not said in time what holds"

static gboolean on_late(gpointer data)
{
    VhManager *manager = data;

    manager->adopt_timer = 0;
    for (guint i = 0; i < manager->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        if (!vh_round_is_left(entry))
            continue;
        vh_journal_step(manager->journal, vh_entry_name(entry), "adoption", LATE, NULL, NULL);
        vh_round_take(manager->round, entry);
    }
    vh_round_take_absent(manager->round, LATE);
    vh_round_run(manager->round, LATE);
    return G_SOURCE_REMOVE;
}

void vh_manager_adopt_look(VhManager *manager)
{
    if (!manager->adopt_timer)
        return;
    for (guint i = 0; i < manager->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        if (!vh_round_is_left(entry) || !vh_round_knows(entry))
            continue;
        vh_round_take(manager->round, entry);
        vh_manager_on_changed(entry->guest, "the guest has said what holds", entry);
    }
    if (!vh_round_is_adopting(manager->round))
        g_clear_handle_id(&manager->adopt_timer, g_source_remove);
}

void vh_manager_adopt_begin(VhManager *manager)
{
    if (!vh_round_is_adopting(manager->round))
        return;
    /* Where libvirt tells which guests there are, each might come. */
    if (!manager->config->libvirt)
        vh_round_take_absent(manager->round, NULL);
    manager->adopt_timer = g_timeout_add(WAIT_MS, on_late, manager);
    vh_round_run(manager->round, "vhintd starts");
}
