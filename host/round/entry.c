// SPDX-License-Identifier: GPL-2.0-or-later
// What is asked about one guest under management.
#include "round/entry.h"

#include "round/portrait.h"

const char *vh_entry_name(const struct vh_entry *entry)
{
    return vh_guest_config(entry->guest)->name;
}

struct vh_target vh_entry_vcpu(const struct vh_entry *entry, const struct vh_vcpu *vcpu)
{
    const struct vh_thread_id process = vh_guest_process(entry->guest);

    return (struct vh_target){.key = {vh_entry_name(entry), VH_TARGET_VCPU, vcpu->index},
                              .on = {process.process, vcpu->thread, vcpu->start}};
}

const struct vh_cpuset *vh_entry_nodes(const struct vh_entry *entry)
{
    return entry->nodes_known ? &entry->nodes : vh_guest_nodes(entry->guest);
}

const char *vh_entry_off(const struct vh_entry *entry, struct vh_seat seat)
{
    return g_hash_table_lookup(entry->off, GUINT_TO_POINTER(vh_seat_key(seat)));
}

void vh_entry_redraw(struct vh_entry *entry)
{
    g_clear_pointer(&entry->portrait, vh_portrait_unref);
}

void vh_entry_hands_off(struct vh_entry *entry, struct vh_seat seat, const char *why)
{
    gpointer key = GUINT_TO_POINTER(vh_seat_key(seat));

    vh_entry_redraw(entry);
    if (why)
        g_hash_table_insert(entry->off, key, g_strdup(why));
    else
        g_hash_table_remove(entry->off, key);
}

struct vh_entry *vh_entry_new(struct VhManager *manager)
{
    struct vh_entry *entry = g_new0(struct vh_entry, 1);

    entry->manager = manager;
    entry->off = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    entry->planned = g_array_new(FALSE, FALSE, sizeof(struct vh_planned));
    return entry;
}

void vh_entry_free(gpointer data)
{
    struct vh_entry *entry = data;

    vh_guest_free(entry->guest);
    vh_entry_redraw(entry);
    g_hash_table_unref(entry->off);
    g_array_unref(entry->planned);
    g_free(entry->problem);
    g_free(entry);
}
