/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/facts.c: the last hint of a key wins, snapshots sweep, limits hold. */
#include "hint/facts.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

struct record {
    struct vh_hint h;
    uint32_t key;
    uint32_t value;
};

static VhObject *object_new(void)
{
    VhObject *object = g_atomic_rc_box_new0(VhObject);

    object->bytes = g_bytes_new_static("", 0);
    object->kinds = g_new0(struct vh_kind, 2);
    for (guint16 i = 0; i < 2; i++)
        object->kinds[i] = (struct vh_kind){.number = (guint16)(i + 1),
                                            .name = g_strdup(i ? "o" : "k"),
                                            .size = sizeof(struct record),
                                            .object = object};
    object->kind_count = 2;
    return object;
}

static const struct vh_kind *kind;
static const struct vh_kind *other_kind;

static struct record record_of(uint32_t key, uint32_t value, uint16_t flags)
{
    return (struct record){
        .h = {.size = sizeof(struct record), .kind = 1, .key_size = 4, .flags = flags},
        .key = key,
        .value = value};
}

static int take(VhFacts *facts, uint32_t program, const struct vh_kind *of, struct record record)
{
    return vh_facts_take(facts, program, of, &record.h, (const uint8_t *)&record, NULL);
}

static uint32_t value_of(const VhFacts *facts, uint32_t program, uint32_t key)
{
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;

    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter))) {
        const struct record *record = (const void *)fact->record;

        if (fact->program == program && record->key == key)
            return record->value;
    }
    return 0;
}

static void test_last_wins(void)
{
    VhFacts *facts = vh_facts_new();

    g_assert_cmpint(take(facts, 1, kind, record_of(7, 1, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(7, 1, 0)), ==, 0);
    g_assert_cmpint(take(facts, 1, kind, record_of(7, 2, 0)), ==, 1);
    g_assert_cmpuint(vh_facts_count(facts), ==, 1);
    g_assert_cmpuint(value_of(facts, 1, 7), ==, 2);
    g_assert_cmpint(take(facts, 2, kind, record_of(7, 5, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, other_kind, record_of(7, 6, 0)), ==, 1);
    g_assert_cmpuint(vh_facts_count(facts), ==, 3);
    g_assert_cmpint(take(facts, 1, kind, record_of(7, 0, VH_HINT_GONE)), ==, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(7, 0, VH_HINT_GONE)), ==, 0);
    g_assert_cmpuint(vh_facts_count(facts), ==, 2);
    g_assert_cmpuint(value_of(facts, 2, 7), ==, 5);
    vh_facts_free(facts);
}

static void test_event_leaves_nothing(void)
{
    VhFacts *facts = vh_facts_new();
    struct record record = record_of(1, 1, 0);

    record.h.key_size = 0;
    g_assert_cmpint(take(facts, 1, kind, record), ==, 0);
    g_assert_cmpuint(vh_facts_count(facts), ==, 0);
    vh_facts_free(facts);
}

static void test_snapshot(void)
{
    VhFacts *facts = vh_facts_new();

    for (uint32_t key = 1; key <= 10; key++)
        take(facts, 1, kind, record_of(key, key, 0));
    take(facts, 2, kind, record_of(1, 99, 0));
    vh_facts_begin(facts, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(3, 3, 0)), ==, 0);
    g_assert_cmpint(take(facts, 1, kind, record_of(4, 40, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(11, 11, 0)), ==, 1);
    g_assert_cmpuint(vh_facts_end(facts, 1), ==, 8);
    g_assert_cmpuint(vh_facts_count_of(facts, 1), ==, 3);
    g_assert_cmpuint(value_of(facts, 1, 4), ==, 40);
    g_assert_cmpuint(value_of(facts, 1, 5), ==, 0);
    g_assert_cmpuint(value_of(facts, 2, 1), ==, 99);
    g_assert_cmpuint(vh_facts_drop(facts, 1), ==, 3);
    g_assert_cmpuint(vh_facts_clear(facts), ==, 1);
    vh_facts_free(facts);
}

static void test_limit(void)
{
    VhFacts *facts = vh_facts_new();

    for (uint32_t key = 0; key < VH_FACTS_MAX; key++)
        g_assert_cmpint(take(facts, 1, kind, record_of(key, 1, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(VH_FACTS_MAX, 1, 0)), ==, -ENOSPC);
    g_assert_cmpint(take(facts, 1, kind, record_of(5, 2, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(6, 0, VH_HINT_GONE)), ==, 1);
    g_assert_cmpint(take(facts, 1, kind, record_of(VH_FACTS_MAX, 1, 0)), ==, 1);
    vh_facts_free(facts);
}

/* A fact outlives the program that its owner has dropped, and takes over another's kind. */
static void test_keeps_its_object(void)
{
    VhFacts *facts = vh_facts_new();
    VhObject *first = object_new();
    VhObject *second = object_new();
    VhFactsIter iter;
    const struct vh_fact *fact = NULL;

    take(facts, 1, &first->kinds[0], record_of(1, 1, 0));
    take(facts, 1, &first->kinds[0], record_of(2, 1, 0));
    vh_object_unref(first);
    vh_facts_iter_init(&iter, facts);
    fact = vh_facts_iter_next(&iter);
    g_assert_true(fact->kind->object == first);
    g_assert_cmpstr(fact->kind->name, ==, "k");
    take(facts, 1, &second->kinds[0], record_of(1, 1, 0));
    take(facts, 1, &second->kinds[0], record_of(2, 2, 0));
    vh_object_unref(second);
    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter))) {
        g_assert_true(fact->kind->object == second);
        g_assert_cmpstr(fact->kind->name, ==, "k");
    }
    g_assert_cmpuint(vh_facts_drop(facts, 1), ==, 2);
    vh_facts_free(facts);
}

/* What is kept with a fact is kept as long as its record is the same one. */
static void test_mark(void)
{
    VhFacts *facts = vh_facts_new();
    struct vh_fact *fact = NULL;
    struct vh_fact *other = NULL;
    struct record record = record_of(1, 1, 0);
    struct record gone = record_of(1, 0, VH_HINT_GONE);
    struct record event = record_of(1, 1, 0);

    event.h.key_size = 0;
    vh_facts_take(facts, 1, kind, &record.h, (const uint8_t *)&record, &fact);
    g_assert_cmpuint(fact->mark.by, ==, 0);
    fact->mark.by = 7;
    vh_facts_take(facts, 1, kind, &event.h, (const uint8_t *)&event, &other);
    g_assert_null(other);
    g_assert_cmpuint(fact->mark.by, ==, 7);
    vh_facts_take(facts, 1, kind, &record.h, (const uint8_t *)&record, &other);
    g_assert_true(other == fact);
    g_assert_cmpuint(fact->mark.by, ==, 0);
    vh_facts_take(facts, 1, kind, &gone.h, (const uint8_t *)&gone, &other);
    g_assert_null(other);
    vh_facts_free(facts);
}

int main(int argc, char **argv)
{
    VhObject *object = NULL;
    int result = 0;

    g_assert_cmpint(sodium_init(), >=, 0);
    g_test_init(&argc, &argv, NULL);
    object = object_new();
    kind = &object->kinds[0];
    other_kind = &object->kinds[1];
    g_test_add_func("/facts/last-wins", test_last_wins);
    g_test_add_func("/facts/event-leaves-nothing", test_event_leaves_nothing);
    g_test_add_func("/facts/snapshot", test_snapshot);
    g_test_add_func("/facts/limit", test_limit);
    g_test_add_func("/facts/keeps-its-object", test_keeps_its_object);
    g_test_add_func("/facts/mark", test_mark);
    result = g_test_run();
    vh_object_unref(object);
    return result;
}
