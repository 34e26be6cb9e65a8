// SPDX-License-Identifier: GPL-2.0-or-later
// What is asked about one guest under management.
#include "round/entry.h"

const char *vh_entry_name(const struct vh_entry *entry)
{
    return vh_guest_config(entry->guest)->name;
}

const struct vh_cpuset *vh_entry_nodes(const struct vh_entry *entry)
{
    return entry->nodes_known ? &entry->nodes : vh_guest_nodes(entry->guest);
}

const char *vh_entry_off(const struct vh_entry *entry, struct vh_seat seat)
{
    return g_hash_table_lookup(entry->off, GUINT_TO_POINTER(vh_seat_key(seat)));
}
