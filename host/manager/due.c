// SPDX-License-Identifier: GPL-2.0-or-later
// Decides when a round is due: what changes in one turn is one round, and those who flood wait for
// theirs.
#include "manager/state.h"

/* A round that costs less is not worth saving. */
#define CHEAP_US 100
/* Rounds that only heavy guests ask for take a ninth of the time at most. */
#define PATIENCE 8

void vh_manager_on_changed(VhGuest *guest, const char *why, gpointer data)
{
    struct vh_entry *entry = data;
    VhManager *manager = entry->manager;

    if (!entry->why)
        manager->changed++;
    entry->why = why;
    manager->why = why;
    manager->hurried = manager->hurried || !vh_guest_is_heavy(guest);
    vh_turn_soon(manager->turn, 0);
}

void vh_manager_on_shown(VhGuest *guest, gpointer entry)
{
    (void)guest;
    vh_entry_redraw(entry);
}

/* For `systemctl status`, when it has changed. */
static void tell_status(VhManager *manager)
{
    g_autofree char *text = NULL;
    guint connected = 0;

    for (guint i = 0; i < manager->entries->len; i++)
        connected += vh_guest_is_connected(
            ((const struct vh_entry *)g_ptr_array_index(manager->entries, i))->guest);
    if (connected == manager->told_connected && manager->entries->len == manager->told_guests)
        return;
    manager->told_connected = connected;
    manager->told_guests = manager->entries->len;
    text =
        g_strdup_printf("%u guests, %u of them with an injector", manager->entries->len, connected);
    vh_journal_status(manager->journal, text);
}

static void run(VhManager *manager)
{
    gint64 begin = g_get_monotonic_time();
    guint share = MAX(manager->changed, 1);

    for (guint i = 0; i < manager->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        if (entry->why && vh_guest_places_threads(entry->guest))
            vh_guest_refresh_threads(entry->guest);
    }
    manager->changed = 0;
    manager->hurried = false;
    tell_status(manager);
    vh_round_run(manager->round, manager->why);
    manager->round_ended = g_get_monotonic_time();
    manager->round_cost = manager->round_ended - begin;
    manager->rounds++;
    manager->rounds_us += manager->round_cost;
    for (guint i = 0; i < manager->entries->len; i++) {
        struct vh_entry *entry = g_ptr_array_index(manager->entries, i);

        if (entry->why)
            vh_guest_charge(entry->guest, manager->round_cost / share);
        entry->why = NULL;
    }
}

void vh_manager_run_due(VhManager *manager)
{
    gint64 wait = manager->round_cost > CHEAP_US ? PATIENCE * manager->round_cost : 0;
    gint64 when = manager->round_ended + wait;

    if (!manager->changed)
        return;
    if (manager->hurried || g_get_monotonic_time() >= when)
        run(manager);
    else
        vh_turn_soon(manager->turn, when);
}
