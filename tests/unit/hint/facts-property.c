/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/facts.c over random histories of a guest: what the hints of all changes come to, and
 * what a snapshot does, is what holds in the guest. Hints may get lost until a snapshot comes. */
#include "hint/facts.h"

#include <sodium.h>
#include <string.h>

#define HISTORIES 60
#define CHANGES 300
#define PROGRAMS 3u /* numbered from 1 */
#define KINDS 2u
#define KEYS 12u /* that a kind has at a time: few, so that they meet */
#define RECORD_MAX 64u

struct record {
    struct vh_hint h;
    uint8_t rest[RECORD_MAX - sizeof(struct vh_hint)];
};

/* A guest's programs, each with what its `state` has. */
struct guest {
    VhObject *objects[PROGRAMS];
    GArray *states[PROGRAMS]; /* struct record */
    GArray *walks[PROGRAMS];  /* struct record: what a snapshot has still to tell; NULL: none is */
    bool missed[PROGRAMS];    /* a hint was lost, and no snapshot has begun since */
};

/* ---- the guest ---- */

static guint up_to(guint limit)
{
    return (guint)g_test_rand_int_range(0, (gint32)limit + 1);
}

static bool one_in(guint count)
{
    return up_to(count - 1) == 0;
}

static VhObject *object_new(void)
{
    VhObject *object = g_atomic_rc_box_new0(VhObject);

    object->bytes = g_bytes_new_static("", 0);
    object->kinds = g_new0(struct vh_kind, KINDS);
    object->kind_count = KINDS;
    for (guint i = 0; i < KINDS; i++)
        object->kinds[i] =
            (struct vh_kind){.number = (uint16_t)(i + 1), .name = g_strdup("k"), .object = object};
    return object;
}

static void guest_begin(struct guest *guest)
{
    *guest = (struct guest){0};
    for (guint i = 0; i < PROGRAMS; i++) {
        guest->objects[i] = object_new();
        guest->states[i] = g_array_new(FALSE, FALSE, sizeof(struct record));
    }
}

static void guest_end(struct guest *guest)
{
    for (guint i = 0; i < PROGRAMS; i++) {
        vh_object_unref(guest->objects[i]);
        g_array_unref(guest->states[i]);
    }
}

/* Keys of different lengths, where the shorter one is the longer one's beginning. */
static struct record some_record(void)
{
    static const uint16_t sizes[] = {1, 4, 16, 17};
    guint key = up_to(KEYS - 1);
    struct record record = {.h = {.kind = (uint16_t)(1 + up_to(KINDS - 1)),
                                  .key_size = sizes[key % G_N_ELEMENTS(sizes)],
                                  .cpu = (uint32_t)g_test_rand_int(),
                                  .ktime = (uint32_t)g_test_rand_int()}};

    record.rest[0] = (uint8_t)(key / G_N_ELEMENTS(sizes));
    record.h.size = (uint16_t)(sizeof(record.h) + record.h.key_size + 4 * up_to(3));
    for (guint i = record.h.key_size; i < record.h.size - sizeof(record.h); i++)
        record.rest[i] = (uint8_t)up_to(1);
    return record;
}

static bool same_key(const struct record *a, const struct record *b)
{
    return a->h.kind == b->h.kind && a->h.key_size == b->h.key_size &&
           memcmp(a->rest, b->rest, a->h.key_size) == 0;
}

static bool same_content(const struct record *a, const struct record *b)
{
    return a->h.size == b->h.size && memcmp(a->rest, b->rest, a->h.size - sizeof(a->h)) == 0;
}

static struct record *find(GArray *records, const struct record *record)
{
    for (guint i = 0; i < records->len; i++)
        if (same_key(&g_array_index(records, struct record, i), record))
            return &g_array_index(records, struct record, i);
    return NULL;
}

static void forget(GArray *records, const struct record *record)
{
    const struct record *known = find(records, record);

    if (known)
        g_array_remove_index(records, (guint)(known - &g_array_index(records, struct record, 0)));
}

/* ---- the host ---- */

static int take(struct guest *guest, VhFacts *facts, uint32_t program, const struct record *record,
                struct vh_fact **taken)
{
    const struct vh_kind *kind = &guest->objects[program - 1]->kinds[record->h.kind - 1];
    g_autofree uint8_t *bytes = g_memdup2(record, record->h.size);

    return vh_facts_take(facts, program, kind, &record->h, bytes, taken);
}

static const struct vh_fact *look_up(const VhFacts *facts, uint32_t program,
                                     const struct record *record)
{
    const struct vh_fact *fact = NULL;
    VhFactsIter iter;

    vh_facts_iter_init(&iter, facts);
    while ((fact = vh_facts_iter_next(&iter)))
        if (fact->program == program && same_key((const void *)fact->record, record))
            return fact;
    return NULL;
}

/* All that holds in the guest is known, as it was said last, and nothing else is. */
static void assert_holds(const struct guest *guest, const VhFacts *facts, uint32_t program)
{
    const GArray *state = guest->states[program - 1];

    g_assert_cmpuint(vh_facts_count_of(facts, program), ==, state->len);
    for (guint i = 0; i < state->len; i++) {
        const struct record *record = &g_array_index(state, struct record, i);
        const struct vh_fact *fact = look_up(facts, program, record);

        g_assert_nonnull(fact);
        g_assert_cmpmem(fact->record, fact->size, record, record->h.size);
        g_assert_cmpuint(fact->key_size, ==, record->h.key_size);
        g_assert_true(fact->kind->object == guest->objects[program - 1]);
    }
}

/* What comes of a hint is told: whether something changed, and which fact has it. */
static void hear(struct guest *guest, VhFacts *facts, uint32_t program, const struct record *record)
{
    const struct vh_fact *before = look_up(facts, program, record);
    struct vh_fact *taken = NULL;
    bool is_event = !record->h.key_size;
    bool gone = record->h.flags & VH_HINT_GONE;
    bool changes =
        !is_event &&
        (gone ? before != NULL : !before || !same_content((const void *)before->record, record));
    guint count = vh_facts_count(facts);

    if (before)
        ((struct vh_fact *)before)->mark.by = 1;
    g_assert_cmpint(take(guest, facts, program, record, &taken), ==, changes);
    g_assert_true(taken == (is_event ? NULL : look_up(facts, program, record)));
    g_assert_cmpuint(taken ? taken->mark.by : 0, ==, 0);
    if (!is_event)
        count += gone ? (guint) - (before != NULL) : !before;
    g_assert_cmpuint(vh_facts_count(facts), ==, count);
}

/* ---- what happens ---- */

/* A fact appears, changes, is said again or goes; or something happens that leaves none. The host
 * hears of it unless the hint is lost. */
static void change(struct guest *guest, VhFacts *facts, bool lossy)
{
    uint32_t program = 1 + up_to(PROGRAMS - 1);
    GArray *state = guest->states[program - 1];
    struct record record = some_record();
    bool gone = one_in(3);

    if (one_in(10)) {
        record.h.key_size = 0;
    } else if (gone && !find(state, &record)) {
        return;
    } else {
        forget(state, &record);
        if (gone) {
            record.h.flags = VH_HINT_GONE;
            record.h.size = (uint16_t)(sizeof(record.h) + record.h.key_size);
        } else {
            g_array_append_val(state, record);
        }
    }
    if (lossy && one_in(4)) {
        guest->missed[program - 1] = true;
        return;
    }
    hear(guest, facts, program, &record);
}

/* A walk begins: all of the state is to be told, in any order, as it will be when its turn comes.
 */
static void begin_walk(struct guest *guest, VhFacts *facts, uint32_t program)
{
    guest->walks[program - 1] = g_array_copy(guest->states[program - 1]);
    vh_facts_begin(facts, program);
    guest->missed[program - 1] = false;
}

static void step_walk(struct guest *guest, VhFacts *facts, uint32_t program)
{
    GArray *walk = guest->walks[program - 1];

    if (walk->len) {
        guint next = up_to(walk->len - 1);
        struct record record = g_array_index(walk, struct record, next);
        const struct record *now = find(guest->states[program - 1], &record);

        g_array_remove_index(walk, next);
        if (now)
            hear(guest, facts, program, now);
        return;
    }
    g_clear_pointer(&guest->walks[program - 1], g_array_unref);
    vh_facts_end(facts, program);
    if (!guest->missed[program - 1])
        assert_holds(guest, facts, program);
}

/* What a host knows that has heard nothing but snapshots. */
static void assert_snapshots_equal(struct guest *guest, const VhFacts *facts)
{
    VhFacts *fresh = vh_facts_new();
    guint count = 0;

    for (uint32_t program = 1; program <= PROGRAMS; program++) {
        const GArray *state = guest->states[program - 1];

        vh_facts_begin(fresh, program);
        for (guint i = 0; i < state->len; i++)
            g_assert_cmpint(
                take(guest, fresh, program, &g_array_index(state, struct record, i), NULL), ==, 1);
        g_assert_cmpuint(vh_facts_end(fresh, program), ==, 0);
        assert_holds(guest, fresh, program);
        count += state->len;
    }
    g_assert_cmpuint(vh_facts_count(fresh), ==, vh_facts_count(facts));
    g_assert_cmpuint(vh_facts_drop(fresh, 1), ==, guest->states[0]->len);
    g_assert_cmpuint(vh_facts_clear(fresh), ==, count - guest->states[0]->len);
    vh_facts_free(fresh);
}

static void run(bool lossy)
{
    struct guest guest;
    VhFacts *facts = vh_facts_new();

    guest_begin(&guest);
    for (guint i = 0; i < CHANGES; i++) {
        uint32_t program = 1 + up_to(PROGRAMS - 1);
        bool walks = guest.walks[program - 1] != NULL;

        if (walks && one_in(2))
            step_walk(&guest, facts, program);
        else if (!walks && one_in(20))
            begin_walk(&guest, facts, program);
        else
            change(&guest, facts, lossy);
        for (program = 1; program <= PROGRAMS && !lossy; program++)
            assert_holds(&guest, facts, program);
    }
    for (uint32_t program = 1; program <= PROGRAMS; program++) {
        while (guest.walks[program - 1])
            step_walk(&guest, facts, program);
        begin_walk(&guest, facts, program);
        while (guest.walks[program - 1])
            step_walk(&guest, facts, program);
    }
    assert_snapshots_equal(&guest, facts);
    vh_facts_free(facts);
    guest_end(&guest);
}

/* Every change is heard of: the host knows what holds at any time, snapshots change nothing. */
static void test_replay(void)
{
    for (guint i = 0; i < HISTORIES; i++)
        run(false);
}

/* Some are not: once a snapshot is over, it knows again. */
static void test_losses(void)
{
    for (guint i = 0; i < HISTORIES; i++)
        run(true);
}

int main(int argc, char **argv)
{
    g_assert_cmpint(sodium_init(), >=, 0);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/facts-property/replay", test_replay);
    g_test_add_func("/facts-property/losses", test_losses);
    return g_test_run();
}
