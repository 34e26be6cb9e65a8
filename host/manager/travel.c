// SPDX-License-Identifier: GPL-2.0-or-later
// What guests bring along when they come from another host, and take along when they go.
#include "programs/travel.h"
#include "manager/state.h"

static void complain(const struct vh_entry *entry, const char *what, const GError *error)
{
    vh_journal_step(entry->manager->journal, vh_entry_name(entry), what, error->message, NULL,
                    NULL);
}

void vh_manager_take_travel(struct vh_entry *entry)
{
    const struct vh_config_guest *config = vh_guest_config(entry->guest);
    const char *host = entry->manager->host;
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTravel) travel =
        config->travels ? vh_travel_read(config->travels, host, &error) : NULL;

    entry->travels = config->travels != NULL;
    if (error)
        complain(entry, "arrive", error);
    if (!travel)
        return;
    entry->held = travel->released;
    if (g_str_equal(travel->host, host))
        return;
    vh_journal_step(entry->manager->journal, config->name, "arrive", "it comes from another host",
                    NULL, NULL);
    vh_programs_replace_injected(vh_guest_programs(entry->guest), travel->programs);
    vh_manager_note_travel(entry);
}

void vh_manager_note_travel(struct vh_entry *entry)
{
    const struct vh_config_guest *config = vh_guest_config(entry->guest);
    const VhPrograms *programs = vh_guest_programs(entry->guest);
    g_autoptr(VhTravel) travel = vh_travel_new(entry->manager->host);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    if (!config->maker || entry->manager->closing)
        return;
    travel->released = entry->held;
    for (guint i = 0; i < vh_programs_count(programs); i++) {
        const struct vh_managed *managed = vh_programs_get(programs, i);

        if (managed->injected && !managed->ejected)
            vh_travel_add(travel, managed->object, managed->tunables);
    }
    /* Once there was something, that there is nothing is a word, too: another host may have it on
     * disk. */
    if (!travel->released && !travel->programs->len && !entry->travels)
        return;
    entry->travels = true;
    text = vh_travel_write(travel, &error);
    if (!text) {
        complain(entry, "migration", error);
        g_ptr_array_set_size(travel->programs, 0);
        text = vh_travel_write(travel, NULL);
    }
    config->maker->carry(config, text);
}
