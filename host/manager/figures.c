// SPDX-License-Identifier: GPL-2.0-or-later
// Takes a snapshot of the figures.
#include "manager/state.h"

struct vh_figures *vh_manager_figures(gpointer data)
{
    const VhManager *manager = data;
    const struct vh_round_made made = vh_round_made(manager->round);
    unsigned count = MIN(manager->entries->len, VH_FIGURES_GUESTS_MAX);
    struct vh_figures *figures = g_malloc0(sizeof(*figures) + count * sizeof(figures->each[0]));

    figures->guests = manager->entries->len;
    figures->rounds = manager->rounds;
    figures->round_us = manager->rounds_us;
    figures->plans = made.plans;
    figures->plan_ns = made.ns;
    figures->journal_dropped = vh_journal_dropped(manager->journal);
    figures->count = count;
    for (guint i = 0; i < manager->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        figures->connected += vh_guest_is_connected(entry->guest);
        if (i >= count)
            continue;
        vh_guest_figures(entry->guest, &figures->each[i]);
        figures->each[i].held = entry->held;
        figures->each[i].pinned = vh_round_pinned(manager->round, entry);
    }
    return figures;
}
