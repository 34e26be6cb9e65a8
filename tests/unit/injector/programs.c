/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/programs.c: programs have turns, so that one's flood or snapshot keeps no other's hints
 * waiting. */
#include "programs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fake-injector.h"
#include "lib/fake-ring.h"

#define RECORD 104u

struct stage {
    struct fake *fake;
    struct vh_programs_set set;
};

/* Two programs, 1 and 2. */
static struct stage stage_new(uint32_t credit)
{
    struct stage stage = {.fake = fake_up(credit)};
    char text[VH_TEXT_MAX + 1];

    vh_programs_init(&stage.set, -1, 0, 1);
    for (int i = 0; i < 2; i++) {
        struct vh_running *running = calloc(1, sizeof(*running));
        struct vh_running *old;

        fake_load_good(stage.fake, (uint32_t)i + 1, i ? "b" : "a", 0);
        strcpy(running->name, i ? "b" : "a");
        running->ring_fd = running->state_fd = -1;
        running->ring = fake_ring_new();
        g_assert_cmpint(vh_programs_add(&stage.set, running, false, &old, text), ==, 0);
    }
    return stage;
}

static void stage_free(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->set.count; i++) {
        vh_ring_close(&stage->set.running[i]->ring);
        free(stage->set.running[i]);
    }
    fake_free(stage->fake);
}

static bool relay(struct stage *stage)
{
    vh_session_pump(&stage->fake->session);
    return vh_programs_relay(&stage->set, &stage->fake->session);
}

static void put(struct stage *stage, int program, int count)
{
    for (int i = 0; i < count; i++)
        g_assert_true(fake_ring_put(&stage->set.running[program]->ring, RECORD));
}

static void flood(struct stage *stage, int program)
{
    while (fake_ring_put(&stage->set.running[program]->ring, RECORD))
        ;
}

/* Reads what waits until a batch of this program, which it returns; counts the bytes that come
 * before it. `program` 0: until nothing waits. */
static struct vh_batch read_until(struct stage *stage, uint32_t program, size_t *before)
{
    struct vh_batch batch = {0};
    struct vh_records records;
    struct got got;

    *before = 0;
    while (fake_next(stage->fake, &got)) {
        if (got.frame.type != VH_HINTS && got.frame.type != VH_SNAPSHOT)
            continue;
        g_assert_cmpint(vh_msg_batch(&got.frame, &batch, &records), ==, 0);
        if (batch.program == program)
            return batch;
        *before += got.frame.len;
    }
    g_assert_cmpuint(program, ==, 0);
    return batch;
}

static void test_turns(void)
{
    struct stage stage = stage_new(1u << 20);
    size_t before;

    flood(&stage, 0);
    put(&stage, 1, 3);
    g_assert_true(relay(&stage));
    g_assert_cmpuint(read_until(&stage, 2, &before).count, ==, 3);
    g_assert_cmpuint(before, <=, VH_SLICE);
    g_assert_cmpuint(before, >, VH_SLICE / 2);
    while (relay(&stage))
        ;
    read_until(&stage, 0, &before);
    g_assert_cmpuint(before, >, FAKE_RING_SIZE / 2); /* the rest of the flood */
    g_assert_false(relay(&stage));
    stage_free(&stage);
}

/* Whatever the way out has room for: who was passed over is first the next time. */
static void test_a_full_way_out(void)
{
    struct stage stage = stage_new(1u << 28);
    struct vh_out *out = &stage.fake->session.out;
    size_t before;

    do
        flood(&stage, 0);
    while (relay(&stage) && !vh_out_full(out));
    flood(&stage, 0);
    put(&stage, 1, 1);
    g_assert_false(relay(&stage));
    while (vh_out_full(out)) {
        struct got got;

        g_assert_true(fake_next(stage.fake, &got));
    }
    relay(&stage);
    g_assert_cmpuint(read_until(&stage, 2, &before).count, ==, 1);
    g_assert_cmpuint(before, <=, VH_OUT_FULL + VH_SLICE);
    stage_free(&stage);
}

/* One has taken all the credit that it can: there is some for the other. */
static void test_no_credit(void)
{
    struct stage stage = stage_new(1u << 18);
    struct vh_credit credit = {.bytes = 4096};
    size_t before;

    do {
        flood(&stage, 0);
        relay(&stage);
        read_until(&stage, 0, &before);
    } while (before > 0);
    for (int i = 0; i < 5; i++) {
        put(&stage, 1, 2);
        relay(&stage);
        g_assert_cmpuint(read_until(&stage, 2, &before).count, ==, 2);
        g_assert_cmpuint(before, ==, 0);
    }
    fake_request(stage.fake, VH_CREDIT, 0, &credit, sizeof(credit));
    put(&stage, 1, 1);
    relay(&stage);
    g_assert_cmpuint(read_until(&stage, 2, &before).count, ==, 1);
    read_until(&stage, 0, &before);
    stage_free(&stage);
}

static void test_amid_a_snapshot(void)
{
    struct stage stage = stage_new(1u << 20);
    struct vh_resync resync = {.program = 1};
    struct vh_batch batch;
    struct got got;
    size_t before;

    stage.fake->facts = 10000; /* 320,000 bytes */
    fake_request(stage.fake, VH_RESYNC, 9, &resync, sizeof(resync));
    put(&stage, 0, 1);
    put(&stage, 1, 2);
    relay(&stage);
    batch = read_until(&stage, 2, &before);
    g_assert_cmpuint(batch.count, ==, 2);
    g_assert_cmpuint(before, <=, VH_SLICE);
    do {
        struct vh_records records;

        relay(&stage);
        g_assert_true(fake_next(stage.fake, &got));
        if (got.frame.type != VH_SNAPSHOT)
            continue;
        g_assert_cmpint(vh_msg_batch(&got.frame, &batch, &records), ==, 0);
        if (stage.fake->session.due_count > 0)
            g_assert_cmpuint(vh_session_room(&stage.fake->session, 1), ==, 0);
    } while (got.frame.type != VH_ANSWER);
    relay(&stage);
    g_assert_cmpuint(read_until(&stage, 1, &before).count, ==, 1); /* only now its own hint */
    stage_free(&stage);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/programs/turns", test_turns);
    g_test_add_func("/programs/a-full-way-out", test_a_full_way_out);
    g_test_add_func("/programs/no-credit", test_no_credit);
    g_test_add_func("/programs/amid-a-snapshot", test_amid_a_snapshot);
    return g_test_run();
}
