/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/resync.c: snapshots, whole, in parts and given up. */
#include <errno.h>
#include <string.h>

#include "lib/fake-injector.h"

/* The records of a snapshot's parts, which must be FIRST to LAST; stops before anything else. */
static uint32_t take_snapshot(struct fake *fake, uint32_t id, uint32_t program, bool *complete)
{
    uint32_t records = 0;
    struct vh_batch batch;
    struct vh_records r;

    *complete = false;
    for (bool first = true; !*complete; first = false) {
        struct got *got = fake_expect(fake, VH_SNAPSHOT, id);

        g_assert_cmpint(vh_msg_batch(&got->frame, &batch, &r), ==, 0);
        g_assert_cmpuint(batch.program, ==, program);
        g_assert_cmpuint(batch.seq, ==, 5);
        g_assert_cmpuint(batch.lost, ==, 2);
        g_assert_true(first == ((batch.flags & VH_SNAPSHOT_FIRST) != 0));
        records += batch.count;
        *complete = batch.flags & VH_SNAPSHOT_LAST;
    }
    return records;
}

static void test_resync(void)
{
    struct fake *fake = fake_up(1u << 20);
    struct vh_resync resync = {.program = 0};
    bool complete;

    fake_request(fake, VH_RESYNC, 1, &resync, sizeof(resync));
    fake_expect_answer(fake, 1, 0); /* there are no programs */
    fake_load_good(fake, 2, "a", 0);
    fake_load_good(fake, 3, "b", 0);
    fake_request(fake, VH_RESYNC, 4, &resync, sizeof(resync));
    g_assert_cmpuint(take_snapshot(fake, 4, 1, &complete), ==, 0); /* empty, and said so */
    g_assert_cmpuint(take_snapshot(fake, 4, 2, &complete), ==, 0);
    fake_expect_answer(fake, 4, 0);
    fake->facts = 5000;
    resync.program = 2;
    fake_request(fake, VH_RESYNC, 5, &resync, sizeof(resync));
    g_assert_cmpuint(take_snapshot(fake, 5, 2, &complete), ==, 5000);
    fake_expect_answer(fake, 5, 0);
    resync.program = 9;
    fake_request(fake, VH_RESYNC, 6, &resync, sizeof(resync));
    fake_expect_answer(fake, 6, ENOENT);
    fake_expect_nothing(fake);
    fake_free(fake);
}

/* More than the way out and the credit hold: it goes on as both come back, and no hint of that
 * program slips in between. */
static void test_snapshot_waits(void)
{
    struct fake *fake = fake_up(100000);
    struct vh_resync resync = {0};
    struct vh_credit credit = {.bytes = 200000};
    uint32_t records = 0;
    struct got got;

    fake_load_good(fake, 1, "a", 0);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), >, 0);
    fake->facts = 10000; /* 320,000 bytes */
    fake_request(fake, VH_RESYNC, 2, &resync, sizeof(resync));
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 0);
    for (int part = 0; part < 50; part++) {
        struct vh_batch batch;
        struct vh_records r;

        if (!fake_next(fake, &got)) {
            fake_request(fake, VH_CREDIT, 0, &credit, sizeof(credit));
            continue;
        }
        if (got.frame.type == VH_ANSWER)
            break;
        g_assert_cmpint(vh_msg_batch(&got.frame, &batch, &r), ==, 0);
        records += batch.count;
        if (fake->session.due_count > 0)
            g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 0);
        if (fake->session.purse.credit > 1000 && !vh_out_full(&fake->session.out))
            g_assert_cmpuint(vh_session_room(&fake->session, 2), >, 0); /* others go on */
    }
    g_assert_cmpuint(records, ==, 10000);
    g_assert_cmpuint(got.frame.type, ==, VH_ANSWER);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), >, 0);
    fake_free(fake);
}

static void test_unloaded_amid_snapshots(void)
{
    struct fake *fake = fake_up(100); /* one small part at a time */
    struct vh_resync all = {0};
    struct vh_resync second = {.program = 2};
    struct vh_unload unload = {.name = "b"};
    struct vh_credit credit = {.bytes = 100000};

    fake_load_good(fake, 1, "a", 0);
    fake_load_good(fake, 2, "b", 0);
    fake->facts = 100;
    fake_request(fake, VH_RESYNC, 3, &all, sizeof(all));
    fake_request(fake, VH_RESYNC, 4, &second, sizeof(second));
    fake_expect(fake, VH_SNAPSHOT, 3);
    fake_request(fake, VH_UNLOAD, 5, &unload, sizeof(unload));
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 5, 0);
    fake_expect_answer(fake, 4, ENOENT); /* does not wait for the other's */
    fake_request(fake, VH_CREDIT, 0, &credit, sizeof(credit));
    fake_expect(fake, VH_SNAPSHOT, 3);
    fake_expect_answer(fake, 3, 0); /* those that are left */
    fake_expect_nothing(fake);
    fake_free(fake);
}

static void test_too_many_snapshots(void)
{
    struct fake *fake = fake_up(0);
    struct vh_resync resync = {.program = 1};
    uint32_t id;

    fake_load_good(fake, 1, "a", 0);
    for (id = 2; id < 200; id++)
        fake_request(fake, VH_RESYNC, id, &resync, sizeof(resync));
    fake_expect_answer(fake, 2 + VH_DUE_MAX - VH_PROGRAMS_MAX + 1, EBUSY);
    fake_free(fake);
}

/* Programs are asked at once, and sent as they answer: a slow walk keeps no other waiting. */
static void test_slow_facts(void)
{
    struct fake *fake = fake_up(1u << 20);
    struct vh_resync first = {.program = 1};
    struct vh_resync second = {.program = 2};
    bool complete;

    fake_load_good(fake, 1, "a", 0);
    fake_load_good(fake, 2, "b", 0);
    fake->slow = true;
    fake->facts = 3;
    fake_request(fake, VH_RESYNC, 3, &first, sizeof(first));
    fake_request(fake, VH_RESYNC, 4, &second, sizeof(second));
    fake_request(fake, VH_RESYNC, 5, &second, sizeof(second));
    g_assert_cmpuint(fake->asked_count, ==, 2);                 /* invariant 5 */
    g_assert_cmpuint(vh_session_room(&fake->session, 1), >, 0); /* it walks */
    fake_finish_facts(fake, fake->asked[1].ticket, 2);
    g_assert_cmpuint(vh_session_room(&fake->session, 2), ==, 0);
    g_assert_cmpuint(take_snapshot(fake, 4, 2, &complete), ==, 3);
    fake_expect_answer(fake, 4, 0);
    g_assert_cmpuint(fake->asked_count, ==, 3);
    g_assert_cmpuint(vh_session_room(&fake->session, 2), >, 0);
    fake_finish_facts(fake, fake->asked[2].ticket, 2);
    fake_finish_facts(fake, fake->asked[0].ticket, 1);
    g_assert_cmpuint(take_snapshot(fake, 3, 1, &complete), ==, 3);
    fake_expect_answer(fake, 3, 0);
    g_assert_cmpuint(take_snapshot(fake, 5, 2, &complete), ==, 3);
    fake_expect_answer(fake, 5, 0);
    fake_expect_nothing(fake);
    fake_free(fake);
}

/* A large snapshot goes out in slices, and keeps neither another one nor anybody's hints waiting.
 */
static void test_side_by_side(void)
{
    struct fake *fake = fake_up(1u << 20);
    struct vh_resync first = {.program = 1};
    struct vh_resync second = {.program = 2};
    struct vh_batch batch = {.program = 1};
    uint32_t parts[3] = {0};
    struct vh_records r;
    struct got got;

    fake_load_good(fake, 1, "a", 0);
    fake_load_good(fake, 2, "b", 0);
    fake->facts = 20000; /* 640,000 bytes */
    fake_request(fake, VH_RESYNC, 3, &first, sizeof(first));
    fake->facts = 1000;
    fake_request(fake, VH_RESYNC, 4, &second, sizeof(second));
    while (batch.program != 2 || !(batch.flags & VH_SNAPSHOT_LAST)) {
        g_assert_true(fake_next(fake, &got));
        g_assert_cmpuint(got.frame.type, ==, VH_SNAPSHOT);
        g_assert_cmpuint(got.frame.len, <=, VH_SLICE);
        g_assert_cmpint(vh_msg_batch(&got.frame, &batch, &r), ==, 0);
        parts[batch.program]++;
    }
    g_assert_cmpuint(parts[2], ==, 2);
    g_assert_cmpuint(parts[1], ==, 2);
    fake_expect_answer(fake, 4, 0);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 0);
    while (fake_next(fake, &got))
        parts[1] += got.frame.type == VH_SNAPSHOT;
    g_assert_cmpuint(vh_session_room(&fake->session, 2), >, 0); /* though the other was so large */
    g_assert_cmpuint(parts[1], ==, 40);
    fake_free(fake);
}

/* What is known is sent also where the walk has failed, and the answer says so. */
static void test_failed_walk(void)
{
    struct fake *fake = fake_up(1u << 20);
    struct vh_resync resync = {.program = 1};
    struct vh_resync all = {0};
    bool complete;

    fake_load_good(fake, 1, "a", 0);
    fake->facts = 3;
    fake->facts_error = -ELOOP;
    fake_request(fake, VH_RESYNC, 2, &resync, sizeof(resync));
    g_assert_cmpuint(take_snapshot(fake, 2, 1, &complete), ==, 3);
    g_assert_cmpstr(fake_expect_answer(fake, 2, ELOOP), ==, "why");
    fake_load_good(fake, 3, "b", 0);
    fake->slow = true;
    fake_request(fake, VH_RESYNC, 4, &all, sizeof(all));
    fake_finish_facts(fake, fake->asked[0].ticket, fake->asked[0].program);
    fake->facts_error = 0;
    fake_finish_facts(fake, fake->asked[1].ticket, fake->asked[1].program);
    g_assert_cmpuint(take_snapshot(fake, 4, 1, &complete), ==, 3);
    g_assert_cmpuint(take_snapshot(fake, 4, 2, &complete), ==, 3);
    fake_expect_answer(fake, 4, ELOOP);
    fake_expect_nothing(fake);
    fake_free(fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/resync/resync", test_resync);
    g_test_add_func("/resync/snapshot-waits", test_snapshot_waits);
    g_test_add_func("/resync/unloaded-amid-snapshots", test_unloaded_amid_snapshots);
    g_test_add_func("/resync/too-many-snapshots", test_too_many_snapshots);
    g_test_add_func("/resync/slow-facts", test_slow_facts);
    g_test_add_func("/resync/side-by-side", test_side_by_side);
    g_test_add_func("/resync/failed-walk", test_failed_walk);
    return g_test_run();
}
