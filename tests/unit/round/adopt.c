/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/adopt.c: one daemon after another on one host. */
#include "round/round.h"

#include <sched.h>
#include <string.h>

#include "lib/herd.h"
#include "lib/victim.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100

static void set_up(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_begin(f, "");
}

static void tear_down(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(f);
}

/* A guest whose vCPUs a former daemon has pinned; it has come to the next one, and says nothing
 * yet. */
static struct vh_entry *leave_pinned(struct herd *f)
{
    struct vh_entry *entry = herd_add(f, "web", 2, FIRST);

    fake_guest_anchor(entry->guest, 0);
    fake_guest_anchor(entry->guest, 1);
    vh_round_run(f->round, "hints");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
    herd_replace(f);
    g_assert_true(vh_round_is_adopting(f->round));
    entry = herd_add(f, "web", 2, FIRST);
    g_assert_true(vh_round_is_left(entry));
    return entry;
}

static void test_nothing_is_left(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = NULL;

    herd_add(f, "web", 1, FIRST);
    vh_round_run(f->round, "nothing");
    herd_replace(f);
    g_assert_false(vh_round_is_adopting(f->round));
    entry = herd_add(f, "web", 1, FIRST);
    g_assert_false(vh_round_is_left(entry));
}

static void test_waits_for_its_word(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = leave_pinned(f);
    g_autofree char *first = g_strdup(fake_host_pin(FIRST));
    g_autofree char *state = NULL;
    g_autofree char *reason = NULL;

    g_assert_false(vh_round_knows(entry));
    vh_round_run(f->round, "vhintd starts");
    g_assert_cmpstr(fake_host_pin(FIRST), ==, first);
    g_assert_cmpuint(fake_host_applied(), ==, 2);
    g_assert_cmpuint(fake_host_reverted(), ==, 0);
    g_assert_cmpuint(vh_round_pinned(f->round, entry), ==, 2);
    state = herd_vcpu(f, entry, 0, "state");
    reason = herd_vcpu(f, entry, 0, "reason");
    g_assert_cmpstr(state, ==, "pinned");
    g_assert_cmpstr(reason, ==, "left so by a former vhintd until the guest has said what holds");
}

/* What is wanted still stays as it is, without a call; the rest is put back. */
static void test_takes_over(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = leave_pinned(f);
    g_autofree char *first = g_strdup(fake_host_pin(FIRST));

    fake_guest_anchor(entry->guest, 0);
    entry->guest->connected = true;
    g_assert_true(vh_round_knows(entry));
    vh_round_take(f->round, entry);
    g_assert_false(vh_round_is_left(entry));
    g_assert_cmpuint(vh_round_run(f->round, "the guest has said what holds"), ==, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, first);
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, "");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
    g_assert_false(vh_round_is_adopting(f->round));
    /* From here on it is a pin like any other. */
    fake_guest_float(entry->guest, 0);
    g_assert_cmpuint(vh_round_run(f->round, "its task has ended"), ==, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
}

/* A thread that the guest does not have any longer. */
static void test_nobodys(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = leave_pinned(f);

    entry->guest->vcpu_count = 1;
    fake_guest_anchor(entry->guest, 0);
    vh_round_take(f->round, entry);
    g_assert_cmpuint(vh_round_run(f->round, "the guest has said what holds"), ==, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, "");
}

/* Meanwhile somebody else has pinned a vCPU, and means it. */
static void test_taken_by_others(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = leave_pinned(f);
    const struct vh_seat seat = {VH_SEAT_VCPU, 0};

    g_hash_table_insert(entry->off, GUINT_TO_POINTER(vh_seat_key(seat)), g_strdup("theirs"));
    vh_round_yield(f->round, entry, seat);
    vh_round_take(f->round, entry);
    vh_round_run(f->round, "the guest has said what holds");
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, "");
    g_assert_cmpuint(vh_round_pinned(f->round, entry), ==, 0);
}

static void test_absent(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    g_autofree char *journal = NULL;

    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->round, "a hint");
    herd_replace(f);
    herd_add(f, "db", 1, OTHER);
    vh_round_run(f->round, "vhintd starts");
    g_assert_cmpstr(fake_host_pin(FIRST), !=, ""); /* it may come yet */
    vh_round_take_absent(f->round, "it has not come in time");
    g_assert_cmpuint(vh_round_run(f->round, "it has not come in time"), ==, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_false(vh_round_is_adopting(f->round));
    journal = herd_end_journal(f);
    g_assert_nonnull(strstr(journal, "it has not come in time"));
}

/* Stopped before the guest has come. */
static void test_undo(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = leave_pinned(f);

    g_assert_nonnull(entry);
    herd_stop(f);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, "");
    g_assert_cmpuint(fake_host_reverted(), ==, 2);
}

/* Boosts are not left to the next daemon. */
static void test_boost_is_not_left(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    const struct vh_rule rule = {.name = (char *)"urgent",
                                 .what = {.action = &vh_action_boost, .how = VH_BOOST_NICE}};

    fake_guest_anchor(entry->guest, 0);
    entry->guest->wishes[0].boost = &rule;
    vh_round_run(f->round, "a hint");
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "nice");
    herd_replace(f);
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
}

/* ---- what is left is planned around ---- */

struct around {
    struct herd herd;
    struct victim victim;
    cpu_set_t floating;
    unsigned cpu; /* all that the policy's pool has */
};

static void set_up_around(struct around *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *policy = NULL;

    victim_start(&f->victim);
    g_assert_cmpint(sched_getaffinity(f->victim.tid, sizeof(f->floating), &f->floating), ==, 0);
    while (!CPU_ISSET(f->cpu, &f->floating))
        f->cpu++;
    policy = g_strdup_printf("[guest *]\npool = %u\n", f->cpu);
    herd_begin(&f->herd, policy);
}

static void tear_down_around(struct around *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(&f->herd);
    victim_end(&f->victim);
}

/* Where the thread is counts, so this one exists and is pinned. */
static void test_around(struct around *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(&f->herd, "web", 1, f->victim.tid);
    struct vh_entry *other = NULL;
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(f->cpu, &one);
    g_assert_cmpint(sched_setaffinity(f->victim.tid, sizeof(one), &one), ==, 0);
    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->herd.round, "a hint");
    g_assert_cmpstr(fake_host_pin(f->victim.tid), !=, "");
    herd_replace(&f->herd);
    entry = herd_add(&f->herd, "web", 1, f->victim.tid);
    other = herd_add(&f->herd, "db", 1, OTHER);
    fake_guest_anchor(other->guest, 0);
    vh_round_run(f->herd.round, "vhintd starts");
    g_assert_cmpstr(fake_host_pin(OTHER), ==, ""); /* the pool is full */
    vh_round_take(f->herd.round, entry);
    vh_round_run(f->herd.round, "the guest has said what holds");
    g_assert_cmpstr(fake_host_pin(f->victim.tid), ==, "");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
}

#define ADD(name, func) g_test_add("/adopt/" name, struct herd, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("nothing-is-left", test_nothing_is_left);
    ADD("waits-for-its-word", test_waits_for_its_word);
    ADD("takes-over", test_takes_over);
    ADD("nobodys", test_nobodys);
    ADD("taken-by-others", test_taken_by_others);
    ADD("absent", test_absent);
    ADD("undo", test_undo);
    ADD("boost-is-not-left", test_boost_is_not_left);
    g_test_add("/adopt/around", struct around, NULL, set_up_around, test_around, tear_down_around);
    return g_test_run();
}
