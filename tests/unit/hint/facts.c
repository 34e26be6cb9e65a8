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

static const struct vh_kind kind = {.number = 1, .name = "k", .size = sizeof(struct record)};
static const struct vh_kind other_kind = {.number = 2, .name = "o", .size = sizeof(struct record)};

static struct record record_of(uint32_t key, uint32_t value, uint16_t flags)
{
    return (struct record){
        .h = {.size = sizeof(struct record), .kind = 1, .key_size = 4, .flags = flags},
        .key = key,
        .value = value};
}

static int take(VhFacts *facts, uint32_t program, const struct vh_kind *of, struct record record)
{
    return vh_facts_take(facts, program, of, &record.h, (const uint8_t *)&record);
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

    g_assert_cmpint(take(facts, 1, &kind, record_of(7, 1, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(7, 1, 0)), ==, 0);
    g_assert_cmpint(take(facts, 1, &kind, record_of(7, 2, 0)), ==, 1);
    g_assert_cmpuint(vh_facts_count(facts), ==, 1);
    g_assert_cmpuint(value_of(facts, 1, 7), ==, 2);
    g_assert_cmpint(take(facts, 2, &kind, record_of(7, 5, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, &other_kind, record_of(7, 6, 0)), ==, 1);
    g_assert_cmpuint(vh_facts_count(facts), ==, 3);
    g_assert_cmpint(take(facts, 1, &kind, record_of(7, 0, VH_HINT_GONE)), ==, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(7, 0, VH_HINT_GONE)), ==, 0);
    g_assert_cmpuint(vh_facts_count(facts), ==, 2);
    g_assert_cmpuint(value_of(facts, 2, 7), ==, 5);
    vh_facts_free(facts);
}

static void test_event_leaves_nothing(void)
{
    VhFacts *facts = vh_facts_new();
    struct record record = record_of(1, 1, 0);

    record.h.key_size = 0;
    g_assert_cmpint(take(facts, 1, &kind, record), ==, 0);
    g_assert_cmpuint(vh_facts_count(facts), ==, 0);
    vh_facts_free(facts);
}

static void test_snapshot(void)
{
    VhFacts *facts = vh_facts_new();

    for (uint32_t key = 1; key <= 10; key++)
        take(facts, 1, &kind, record_of(key, key, 0));
    take(facts, 2, &kind, record_of(1, 99, 0));
    vh_facts_begin(facts, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(3, 3, 0)), ==, 0);
    g_assert_cmpint(take(facts, 1, &kind, record_of(4, 40, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(11, 11, 0)), ==, 1);
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
        g_assert_cmpint(take(facts, 1, &kind, record_of(key, 1, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(VH_FACTS_MAX, 1, 0)), ==, -ENOSPC);
    g_assert_cmpint(take(facts, 1, &kind, record_of(5, 2, 0)), ==, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(6, 0, VH_HINT_GONE)), ==, 1);
    g_assert_cmpint(take(facts, 1, &kind, record_of(VH_FACTS_MAX, 1, 0)), ==, 1);
    vh_facts_free(facts);
}

int main(int argc, char **argv)
{
    g_assert_cmpint(sodium_init(), >=, 0);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/facts/last-wins", test_last_wins);
    g_test_add_func("/facts/event-leaves-nothing", test_event_leaves_nothing);
    g_test_add_func("/facts/snapshot", test_snapshot);
    g_test_add_func("/facts/limit", test_limit);
    return g_test_run();
}
