// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps what libvirt has been told, to know its own words when they come back.
#include "libvirt/told.h"

/* Of one domain; more only delays the noticing. */
#define TOLD_MAX 256

struct entry {
    int id;
    guint seat; /* vh_seat_key() */
    struct vh_cpuset cpus;
    bool done;
};

struct VhVirtTold {
    GHashTable *domains; /* uuid -> GArray of struct entry, oldest first; none is empty */
};

VhVirtTold *vh_virt_told_new(void)
{
    VhVirtTold *told = g_new0(VhVirtTold, 1);

    told->domains =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    return told;
}

void vh_virt_told_free(VhVirtTold *told)
{
    g_hash_table_unref(told->domains);
    g_free(told);
}

static struct entry *entry_at(const GArray *entries, guint i)
{
    return &g_array_index(entries, struct entry, i);
}

void vh_virt_told_add(VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                      const struct vh_cpuset *cpus)
{
    struct entry entry = {.id = id, .seat = vh_seat_key(seat), .cpus = *cpus};
    GArray *entries = g_hash_table_lookup(told->domains, uuid);

    if (!entries) {
        entries = g_array_new(FALSE, FALSE, sizeof(struct entry));
        g_hash_table_insert(told->domains, g_strdup(uuid), entries);
    }
    if (entries->len >= TOLD_MAX)
        g_array_remove_index(entries, 0);
    g_array_append_val(entries, entry);
}

/* The oldest of `seat` and `cpus`, of instance `id` unless that is -1, is forgotten. Returns its
 * instance; -1: none. */
static int take(VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                const struct vh_cpuset *cpus)
{
    GArray *entries = g_hash_table_lookup(told->domains, uuid);

    for (guint i = 0; entries && i < entries->len; i++) {
        const struct entry *entry = entry_at(entries, i);
        int found = entry->id;

        if (entry->seat != vh_seat_key(seat) || !vh_cpuset_equal(&entry->cpus, cpus) ||
            (id >= 0 && found != id))
            continue;
        g_array_remove_index(entries, i);
        if (!entries->len)
            g_hash_table_remove(told->domains, uuid);
        return found;
    }
    return -1;
}

void vh_virt_told_drop(VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                       const struct vh_cpuset *cpus)
{
    take(told, uuid, id, seat, cpus);
}

void vh_virt_told_done(VhVirtTold *told, const char *uuid, int id)
{
    GArray *entries = g_hash_table_lookup(told->domains, uuid);

    for (guint i = 0; entries && i < entries->len; i++)
        entry_at(entries, i)->done = entry_at(entries, i)->done || entry_at(entries, i)->id == id;
}

static gboolean forget_done(G_GNUC_UNUSED gpointer uuid, gpointer value,
                            G_GNUC_UNUSED gpointer data)
{
    GArray *entries = value;

    for (guint i = entries->len; i; i--)
        if (entry_at(entries, i - 1)->done)
            g_array_remove_index(entries, i - 1);
    return !entries->len;
}

void vh_virt_told_lost(VhVirtTold *told)
{
    g_hash_table_foreach_remove(told->domains, forget_done, NULL);
}

int vh_virt_told_heard(VhVirtTold *told, const char *uuid, struct vh_seat seat,
                       const struct vh_cpuset *cpus)
{
    return take(told, uuid, -1, seat, cpus);
}

bool vh_virt_told_astray(const VhVirtTold *told, const char *uuid, int id, struct vh_seat seat,
                         const struct vh_cpuset *cpus)
{
    const GArray *entries = g_hash_table_lookup(told->domains, uuid);

    for (guint i = 0; entries && i < entries->len; i++) {
        const struct entry *entry = entry_at(entries, i);

        if (entry->id != id && entry->seat == vh_seat_key(seat) &&
            (!cpus || vh_cpuset_equal(&entry->cpus, cpus)))
            return true;
    }
    return false;
}
