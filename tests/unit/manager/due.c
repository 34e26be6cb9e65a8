/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/manager/due.c: when a round is due, and who pays for it. */
#include <string.h>

#include "lib/herdsman.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100

/* What changes in one turn is one round. */
static void test_one_round(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);
    struct vh_entry *db = herd_add(&f->herd, "db", 1, OTHER);

    fake_guest_anchor(web->guest, 0);
    fake_guest_anchor(db->guest, 0);
    for (unsigned i = 0; i < 10; i++) {
        fake_guest_changed(web->guest, "a hint");
        fake_guest_changed(db->guest, "another hint");
    }
    g_assert_cmpuint(f->manager.changed, ==, 2);
    g_assert_cmpuint(f->manager.rounds, ==, 0); /* nobody waits for it in the middle of a turn */
    herdsman_wait(f, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
    g_assert_cmpuint(f->manager.changed, ==, 0);
    g_assert_null(web->why);
    g_assert_cmpint(f->manager.rounds_us, ==, f->manager.round_cost);
    vh_manager_run_due(&f->manager);
    g_assert_cmpuint(f->manager.rounds, ==, 1); /* nothing has changed since */
}

/* The journal says of each pin that ends why it does: its own guest's reason. */
static void test_reasons(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);
    struct vh_entry *db = herd_add(&f->herd, "db", 1, OTHER);
    g_autofree char *journal = NULL;

    fake_guest_anchor(web->guest, 0);
    fake_guest_anchor(db->guest, 0);
    fake_guest_changed(web->guest, "a hint");
    herdsman_wait(f, 1);
    fake_guest_float(web->guest, 0);
    fake_guest_float(db->guest, 0);
    fake_guest_changed(web->guest, "the web server has ended");
    fake_guest_changed(db->guest, "the database has ended");
    herdsman_wait(f, 2);
    journal = herd_end_journal(&f->herd);
    g_assert_nonnull(strstr(journal, "the web server has ended"));
    g_assert_nonnull(strstr(journal, "the database has ended"));
}

/* After a round that took long, one that only a guest asks for that floods has to wait. */
static void test_heavy_waits(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(&f->herd, "web", 1, FIRST);
    struct vh_entry *modest = herd_add(&f->herd, "db", 1, OTHER);

    entry->guest->heavy = true;
    f->manager.round_ended = g_get_monotonic_time();
    f->manager.round_cost = (gint64)G_USEC_PER_SEC * 3600;
    fake_guest_changed(entry->guest, "a flood");
    vh_manager_run_due(&f->manager);
    g_assert_cmpuint(f->manager.rounds, ==, 0);
    g_assert_cmpuint(f->manager.changed, ==, 1);
    /* Not so if somebody else asks as well. */
    fake_guest_changed(modest->guest, "a hint");
    vh_manager_run_due(&f->manager);
    g_assert_cmpuint(f->manager.rounds, ==, 1);
    g_assert_cmpuint(f->manager.changed, ==, 0);
}

/* It does not wait for ever, and asks nobody to come back. */
static void test_heavy_comes(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(&f->herd, "web", 1, FIRST);
    gint64 begin = g_get_monotonic_time();

    entry->guest->heavy = true;
    f->manager.round_ended = begin;
    f->manager.round_cost = 5000;
    fake_guest_changed(entry->guest, "a flood");
    herdsman_wait(f, 1);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 8 * 5000);
}

/* Who has asked for the round pays for it, in equal parts. */
static void test_charge(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *web = herd_add(&f->herd, "web", 1, FIRST);
    struct vh_entry *db = herd_add(&f->herd, "db", 1, OTHER);
    struct vh_entry *quiet = herd_add(&f->herd, "quiet", 0, 0);

    fake_guest_changed(web->guest, "a hint");
    fake_guest_changed(db->guest, "a hint");
    herdsman_wait(f, 1);
    g_assert_cmpint(web->guest->charged, ==, f->manager.round_cost / 2);
    g_assert_cmpint(db->guest->charged, ==, f->manager.round_cost / 2);
    g_assert_cmpint(quiet->guest->charged, ==, 0);
}

/* Threads are looked for where the policy places them, and where something has changed. */
static void test_threads(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *placed = herd_add(&f->herd, "web", 1, FIRST);
    struct vh_entry *other = herd_add(&f->herd, "db", 1, OTHER);
    struct vh_entry *quiet = herd_add(&f->herd, "web2", 0, 0);

    fake_guest_changed(placed->guest, "a hint");
    fake_guest_changed(other->guest, "a hint");
    herdsman_wait(f, 1);
    g_assert_cmpuint(placed->guest->refreshed, ==, 1);
    g_assert_cmpuint(other->guest->refreshed, ==, 0);
    g_assert_cmpuint(quiet->guest->refreshed, ==, 0);
}

#define ADD(name, policy, func) \
    g_test_add("/due/" name, struct herdsman, policy, herdsman_begin, func, herdsman_end)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("one-round", NULL, test_one_round);
    ADD("reasons", NULL, test_reasons);
    ADD("heavy-waits", NULL, test_heavy_waits);
    ADD("heavy-comes", NULL, test_heavy_comes);
    ADD("charge", NULL, test_charge);
    ADD("threads", "[guest web*]\nemulator = pool\n", test_threads);
    return g_test_run();
}
