// SPDX-License-Identifier: GPL-2.0-or-later
// Remembers wishes that outlive their facts, and those that may not come again yet.
#include "wish/held.h"

#include <string.h>

enum state { NEW, ACTIVE, HELD, COOLING };

struct item {
    const struct vh_rule *rule; /* with mask: the key */
    struct vh_mask mask;
    enum state state;
    gint64 until; /* HELD, COOLING */
    bool asked;   /* in this round */
};

struct VhMemory {
    GHashTable *items; /* struct item, each its own key */
    guint max;
};

static guint item_hash(gconstpointer data)
{
    const struct item *item = data;
    uint64_t hash = (uintptr_t)item->rule;

    for (unsigned i = 0; i < VH_MASK_WORDS; i++)
        hash = (hash ^ item->mask.words[i]) * 0x9e3779b97f4a7c15u;
    return (guint)(hash >> 32);
}

static gboolean item_equal(gconstpointer a, gconstpointer b)
{
    const struct item *x = a;
    const struct item *y = b;

    return x->rule == y->rule && memcmp(&x->mask, &y->mask, sizeof(x->mask)) == 0;
}

VhMemory *vh_memory_new(guint max)
{
    VhMemory *memory = g_new0(VhMemory, 1);

    memory->items = g_hash_table_new_full(item_hash, item_equal, g_free, NULL);
    memory->max = max;
    return memory;
}

void vh_memory_free(VhMemory *memory)
{
    if (!memory)
        return;
    g_hash_table_unref(memory->items);
    g_free(memory);
}

/* The item, made if there is room; NULL: there is none. */
static struct item *get(VhMemory *memory, const struct vh_rule *rule, const struct vh_mask *mask,
                        enum state state)
{
    struct item probe = {.rule = rule, .mask = *mask, .state = state};
    struct item *item = g_hash_table_lookup(memory->items, &probe);

    if (item || g_hash_table_size(memory->items) >= memory->max)
        return item;
    item = g_memdup2(&probe, sizeof(probe));
    g_hash_table_add(memory->items, item);
    return item;
}

/* Follows the clock. Returns whether the item is over. */
static bool age(struct item *item, gint64 now)
{
    if (item->state == HELD && now >= item->until) {
        item->state = COOLING;
        item->until += item->rule->cooldown_us;
    }
    return item->state == COOLING && now >= item->until;
}

void vh_memory_begin(VhMemory *memory)
{
    GHashTableIter iter;
    gpointer key = NULL;

    g_hash_table_iter_init(&iter, memory->items);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        ((struct item *)key)->asked = false;
}

bool vh_memory_wish(VhMemory *memory, const struct vh_rule *rule, const struct vh_mask *mask,
                    gint64 now)
{
    struct item *item = get(memory, rule, mask, ACTIVE);

    if (!item)
        return !rule->cooldown_us;
    item->asked = true;
    if (!age(item, now) && item->state == COOLING)
        return false;
    item->state = ACTIVE;
    return true;
}

gint64 vh_memory_end(VhMemory *memory, gint64 now, VhHeldFunc held, gpointer data)
{
    GHashTableIter iter;
    gpointer key = NULL;
    gint64 next = -1;

    g_hash_table_iter_init(&iter, memory->items);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        struct item *item = key;

        if (item->state == ACTIVE && item->asked)
            continue;
        if (item->state == ACTIVE) {
            item->state = HELD;
            item->until = now + item->rule->hold_us;
        }
        if (age(item, now)) {
            g_hash_table_iter_remove(&iter);
            continue;
        }
        if (item->state == HELD)
            held(item->rule, &item->mask, data);
        /* The end of a cooldown changes nothing unless a fact waits for it. */
        if ((item->state == HELD || item->asked) && (next < 0 || item->until < next))
            next = item->until;
    }
    return next;
}

bool vh_memory_event(VhMemory *memory, const struct vh_rule *rule, const struct vh_mask *mask,
                     gint64 now)
{
    struct item *item = get(memory, rule, mask, NEW);

    if (!item || (item->state != NEW && !age(item, now) && item->state == COOLING))
        return false;
    if (item->state == ACTIVE)
        return true;
    item->state = HELD;
    item->until = now + rule->hold_us;
    return true;
}

bool vh_memory_log(VhMemory *memory, const struct vh_rule *rule, gint64 now)
{
    static const struct vh_mask none;
    struct item *item = rule->cooldown_us ? get(memory, rule, &none, COOLING) : NULL;

    if (!rule->cooldown_us)
        return true;
    if (!item || now < item->until)
        return false;
    item->until = now + rule->cooldown_us;
    return true;
}

void vh_memory_renew(VhMemory *memory, VhRuleFunc find, gpointer data)
{
    GHashTable *items = g_hash_table_new_full(item_hash, item_equal, g_free, NULL);
    GHashTableIter iter;
    gpointer key = NULL;

    g_hash_table_iter_init(&iter, memory->items);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        struct item *item = key;
        const struct vh_rule *rule = find(item->rule->name, data);

        if (!rule)
            continue;
        g_hash_table_iter_steal(&iter);
        item->rule = rule;
        g_hash_table_add(items, item);
    }
    g_hash_table_unref(memory->items);
    memory->items = items;
}
