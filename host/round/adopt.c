// SPDX-License-Identifier: GPL-2.0-or-later
// What is taken over from a former daemon, and what is put back, or left to the next, in the end.
#include "machine/tid.h"
#include "round/helpers.h"
#include "round/state.h"

static void left_free(gpointer data)
{
    struct vh_left *left = data;

    g_ptr_array_unref(left->slots);
    g_free(left);
}

void vh_round_find_left(VhRound *round)
{
    struct vh_saved_slot *slot = NULL;

    round->left = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, left_free);
    while ((slot = vh_saved_next_left(round->saved, slot))) {
        g_autofree char *name = g_strndup(slot->guest, sizeof(slot->guest));
        struct vh_left *left = g_hash_table_lookup(round->left, name);

        if (!left) {
            left = g_new0(struct vh_left, 1);
            left->slots = g_ptr_array_new();
            g_hash_table_insert(round->left, g_steal_pointer(&name), left);
        }
        left->pins = left->pins || slot->target == VH_TARGET_VCPU;
        g_ptr_array_add(left->slots, slot);
    }
}

bool vh_round_is_adopting(const VhRound *round)
{
    return g_hash_table_size(round->left) > 0;
}

void vh_round_come(VhRound *round, struct vh_entry *entry)
{
    entry->serial = ++round->last_serial;
    g_hash_table_insert(round->names, (gpointer)vh_entry_name(entry), entry);
    entry->left = g_hash_table_lookup(round->left, vh_entry_name(entry));
    if (entry->left)
        entry->left->entry = entry;
}

bool vh_round_is_left(const struct vh_entry *entry)
{
    return entry->left && !entry->left->taken;
}

bool vh_round_knows(const struct vh_entry *entry)
{
    return vh_guest_is_settled(entry->guest) ||
           (!entry->left->pins && vh_guest_process(entry->guest).thread);
}

void vh_round_take(VhRound *round, struct vh_entry *entry)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);
    GHashTableIter iter;
    gpointer key = NULL;

    if (!vh_round_is_left(entry))
        return;
    entry->left->taken = true;
    /* What somebody else has placed while no daemon ran is theirs. */
    g_hash_table_iter_init(&iter, entry->off);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        vh_round_yield(round, entry, vh_seat_of_key(GPOINTER_TO_UINT(key)));
    for (unsigned i = 0; i < count; i++) {
        const struct vh_target target = vh_entry_vcpu(entry, &vcpus[i]);

        vh_actuate_take_over(round->actuate, &target);
    }
    vh_helpers_take_over(round->actuate, entry->guest);
}

void vh_round_take_absent(VhRound *round, const char *why)
{
    GHashTableIter iter;
    gpointer name = NULL;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, round->left);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        struct vh_left *left = value;

        if (left->entry)
            continue;
        left->taken = true;
        if (why)
            vh_journal_step(round->journal, name, "adoption", why, NULL, NULL);
    }
}

guint vh_round_taken(VhRound *round)
{
    GHashTableIter iter;
    gpointer value = NULL;
    guint undone = 0;

    g_hash_table_iter_init(&iter, round->left);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct vh_left *left = value;

        if (!left->taken)
            continue;
        for (guint i = 0; i < left->slots->len; i++)
            undone += vh_actuate_put_back(round->actuate, g_ptr_array_index(left->slots, i));
        if (left->entry)
            left->entry->left = NULL;
        g_hash_table_iter_remove(&iter);
    }
    return undone;
}

/* Where they are now counts: one that has ended is nowhere. */
static void survey_slots(VhRound *round, const struct vh_left *left, int guest)
{
    for (guint i = 0; i < left->slots->len; i++) {
        const struct vh_saved_slot *slot = g_ptr_array_index(left->slots, i);
        struct vh_cpuset now;

        if (vh_saved_is_left_slot(round->saved, slot) && slot->target == VH_TARGET_VCPU &&
            vh_tid_cpus(slot->thread, &now))
            vh_survey_left(round->survey, guest, &now);
    }
}

void vh_round_survey_left(VhRound *round, const struct vh_entry *entry, unsigned number)
{
    if (entry->left)
        survey_slots(round, entry->left, (int)number);
}

void vh_round_survey_absent(VhRound *round)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, round->left);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        if (!((const struct vh_left *)value)->entry)
            survey_slots(round, value, -1);
}

void vh_round_undo(VhRound *round, const char *why)
{
    /* No round may come of itself from here on. */
    vh_hotplug_free(g_steal_pointer(&round->hotplug));
    /* Also threads that were made since the last run. */
    for (guint i = 0; i < round->entries->len; i++)
        vh_guest_refresh_threads(
            ((const struct vh_entry *)g_ptr_array_index(round->entries, i))->guest);
    vh_actuate_begin(round->actuate, NULL, NULL);
    for (unsigned i = 0; i < round->entries->len; i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);

        vh_helpers_want(round->actuate, entry->guest, i, NULL, entry->off);
    }
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
