// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the table of facts.
#include "hint/facts.h"

#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

struct VhFacts {
    GHashTable *table; /* struct vh_fact, each its own key */
    gsize bytes;
    uint8_t seed[crypto_shorthash_KEYBYTES];
};

static const uint8_t *key_of(const struct vh_fact *fact)
{
    return fact->record + sizeof(struct vh_hint);
}

static guint fact_hash(gconstpointer data)
{
    return ((const struct vh_fact *)data)->hash;
}

/* SipHash with a key that the guest does not know, so that it cannot make keys collide: the table
 * is looked up on the thread that serves all guests. */
static guint hash_key(const VhFacts *facts, uint32_t program, uint16_t kind, const uint8_t *key,
                      uint16_t size)
{
    uint64_t hash = 0;

    crypto_shorthash((unsigned char *)&hash, key, size, facts->seed);
    return (guint)hash ^ program * 2654435761u ^ kind;
}

static gboolean fact_equal(gconstpointer a, gconstpointer b)
{
    const struct vh_fact *x = a;
    const struct vh_fact *y = b;

    return x->program == y->program && x->kind->number == y->kind->number &&
           x->key_size == y->key_size && memcmp(key_of(x), key_of(y), x->key_size) == 0;
}

static void fact_free(gpointer data)
{
    struct vh_fact *fact = data;

    vh_object_unref(fact->kind->object);
    g_free(fact);
}

static void set_kind(struct vh_fact *fact, const struct vh_kind *kind)
{
    VhObject *former = fact->kind->object;

    fact->kind = kind;
    if (former == kind->object)
        return;
    vh_object_ref(kind->object);
    vh_object_unref(former);
}

VhFacts *vh_facts_new(void)
{
    VhFacts *facts = g_new0(VhFacts, 1);

    randombytes_buf(facts->seed, sizeof(facts->seed));
    facts->table = g_hash_table_new_full(fact_hash, fact_equal, fact_free, NULL);
    return facts;
}

void vh_facts_free(VhFacts *facts)
{
    if (!facts)
        return;
    g_hash_table_unref(facts->table);
    g_free(facts);
}

/* All but what says when and where the hint was emitted. */
static bool same_content(const struct vh_fact *fact, const uint8_t *record, uint16_t size)
{
    return fact->size == size && memcmp(key_of(fact), record + sizeof(struct vh_hint),
                                        size - sizeof(struct vh_hint)) == 0;
}

/* The record again, or with another content of the same size. */
static int renew(struct vh_fact *known, const struct vh_kind *kind, const uint8_t *record)
{
    bool same = same_content(known, record, known->size);

    known->confirmed = true;
    known->mark.by = 0;
    set_kind(known, kind);
    memcpy(known->record, record, known->size);
    return !same;
}

int vh_facts_take(VhFacts *facts, uint32_t program, const struct vh_kind *kind,
                  const struct vh_hint *hint, const uint8_t *record, struct vh_fact **taken)
{
    union {
        struct vh_fact fact;
        uint8_t room[sizeof(struct vh_fact) + VH_HINT_MAX];
    } probe;
    struct vh_fact *known = NULL;
    struct vh_fact *fact = NULL;

    if (taken)
        *taken = NULL;
    if (!hint->key_size)
        return 0;
    probe.fact = (struct vh_fact){.program = program, .kind = kind, .key_size = hint->key_size};
    memcpy(probe.fact.record, record, sizeof(*hint) + hint->key_size);
    probe.fact.hash = hash_key(facts, program, kind->number, key_of(&probe.fact), hint->key_size);
    known = g_hash_table_lookup(facts->table, &probe.fact);
    if (hint->flags & VH_HINT_GONE) {
        if (!known)
            return 0;
        facts->bytes -= known->size;
        g_hash_table_remove(facts->table, known);
        return 1;
    }
    if (known && known->size == hint->size) {
        if (taken)
            *taken = known;
        return renew(known, kind, record);
    }
    if (g_hash_table_size(facts->table) >= VH_FACTS_MAX ||
        facts->bytes + hint->size > VH_FACTS_BYTES_MAX)
        return -ENOSPC;
    fact = g_malloc(offsetof(struct vh_fact, record) + hint->size);
    *fact = probe.fact;
    vh_object_ref(kind->object);
    fact->confirmed = true;
    fact->size = hint->size;
    memcpy(fact->record, record, hint->size);
    facts->bytes += hint->size;
    if (known)
        facts->bytes -= known->size;
    g_hash_table_replace(facts->table, fact, fact);
    if (taken)
        *taken = fact;
    return 1;
}

void vh_facts_begin(VhFacts *facts, uint32_t program)
{
    GHashTableIter iter;
    gpointer key = NULL;

    g_hash_table_iter_init(&iter, facts->table);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        struct vh_fact *fact = key;

        if (fact->program == program)
            fact->confirmed = false;
    }
}

static guint drop_if(VhFacts *facts, uint32_t program, bool confirmed_too)
{
    GHashTableIter iter;
    gpointer key = NULL;
    guint count = 0;

    g_hash_table_iter_init(&iter, facts->table);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        const struct vh_fact *fact = key;

        if (fact->program != program || (fact->confirmed && !confirmed_too))
            continue;
        facts->bytes -= fact->size;
        g_hash_table_iter_remove(&iter);
        count++;
    }
    return count;
}

guint vh_facts_end(VhFacts *facts, uint32_t program)
{
    return drop_if(facts, program, false);
}

guint vh_facts_drop(VhFacts *facts, uint32_t program)
{
    return drop_if(facts, program, true);
}

guint vh_facts_clear(VhFacts *facts)
{
    guint count = g_hash_table_size(facts->table);

    g_hash_table_remove_all(facts->table);
    facts->bytes = 0;
    return count;
}

guint vh_facts_count(const VhFacts *facts)
{
    return g_hash_table_size(facts->table);
}

guint vh_facts_count_of(const VhFacts *facts, uint32_t program)
{
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;
    guint count = 0;

    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter)))
        count += fact->program == program;
    return count;
}

void vh_facts_iter_init(VhFactsIter *iter, const VhFacts *facts)
{
    g_hash_table_iter_init(&iter->iter, facts->table);
}

struct vh_fact *vh_facts_iter_next(VhFactsIter *iter)
{
    gpointer key = NULL;

    return g_hash_table_iter_next(&iter->iter, &key, NULL) ? key : NULL;
}
