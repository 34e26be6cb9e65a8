// SPDX-License-Identifier: GPL-2.0-or-later
// What is taken over from a former daemon, and what is put back, or left to the next, in the end.
#include "helpers.h"
#include "round-private.h"

bool vh_round_is_adopting(const VhRound *round)
{
    return round->adopting;
}

/* What somebody else has placed while no daemon ran is theirs. */
static void take_over(const VhRound *round, const struct vh_entry *entry)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);
    GHashTableIter iter;
    gpointer key = NULL;

    g_hash_table_iter_init(&iter, entry->off);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        vh_round_yield((VhRound *)round, entry, vh_seat_of_key(GPOINTER_TO_UINT(key)));
    for (unsigned i = 0; i < count; i++)
        vh_actuate_take_over(
            round->actuate,
            &(struct vh_target){.guest = vh_entry_name(entry), .vcpu = vcpus[i].index, .thread = vcpus[i].thread});
    vh_helpers_take_over(round->actuate, entry->guest);
}

guint vh_round_adopt(VhRound *round, const char *why)
{
    guint undone = 0;

    if (!round->adopting)
        return 0;
    round->adopting = false;
    for (unsigned i = 0; i < round->entries->len; i++)
        take_over(round, g_ptr_array_index(round->entries, i));
    round->taking = true;
    undone = vh_round_run(round, why);
    round->taking = false;
    vh_actuate_adopted(round->actuate);
    return undone;
}

void vh_round_undo(VhRound *round, const char *why)
{
    /* No round may come of itself from here on. */
    vh_hotplug_free(g_steal_pointer(&round->hotplug));
    /* Also threads that were made since the last run. */
    for (guint i = 0; i < round->entries->len; i++)
        vh_guest_refresh_threads(((const struct vh_entry *)g_ptr_array_index(round->entries, i))->guest);
    vh_actuate_begin(round->actuate, NULL, NULL);
    for (unsigned i = 0; i < round->entries->len; i++)
        vh_helpers_want(round->actuate, ((const struct vh_entry *)g_ptr_array_index(round->entries, i))->guest, i,
                        NULL, NULL);
    vh_actuate_end(round->actuate, why, NULL);
    vh_actuate_adopted(round->actuate);
    vh_actuate_free(g_steal_pointer(&round->boosts), why);
    vh_actuate_free(g_steal_pointer(&round->actuate), why);
    vh_trials_free(g_steal_pointer(&round->trials));
    vh_ram_free(g_steal_pointer(&round->ram), why);
}

void vh_round_leave_all(VhRound *round, const char *why)
{
    vh_hotplug_free(g_steal_pointer(&round->hotplug));
    vh_actuate_free(g_steal_pointer(&round->boosts), why);
    vh_actuate_leave(g_steal_pointer(&round->actuate));
    vh_trials_free(g_steal_pointer(&round->trials));
    vh_ram_leave(g_steal_pointer(&round->ram));
}
