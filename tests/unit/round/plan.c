/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/plan.c: all guests' wishes in one plan, and what that cannot do. */
#include "round/round.h"

#include <string.h>

#include "lib/herd.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define OTHER 5000100

struct fixture {
    struct herd herd;
    char *cpu; /* one CPU of this host, which the policy's pools are held against */
};

static void begin(struct fixture *f, const char *format)
{
    g_autofree char *online = NULL;
    g_autofree char *policy = NULL;
    g_auto(GStrv) parts = g_strsplit(format, "@", -1);
    struct vh_cpuset set;

    g_assert_true(g_file_get_contents("/sys/devices/system/cpu/online", &online, NULL, NULL));
    g_assert_cmpint(vh_cpuset_parse(&set, g_strstrip(online), NULL), ==, 0);
    f->cpu = g_strdup_printf("%d", vh_cpuset_next(&set, 0));
    policy = g_strjoinv(f->cpu, parts);
    herd_begin(&f->herd, policy);
}

static void set_up(G_GNUC_UNUSED struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(&f->herd);
    g_free(f->cpu);
}

/* Two anchors, one CPU: the one that was first keeps it, whoever is asked first. */
static void test_full(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = NULL;
    struct vh_entry *other = NULL;
    g_autofree char *state = NULL;
    g_autofree char *reason = NULL;

    begin(f, "[guest *]\npool = @\n");
    entry = herd_add(&f->herd, "web", 1, FIRST);
    other = herd_add(&f->herd, "db", 1, OTHER);
    fake_guest_anchor(other->guest, 0);
    vh_round_run(f->herd.round, "a hint");
    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->herd.round, "another hint");
    g_assert_cmpstr(fake_host_pin(OTHER), ==, f->cpu);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    state = herd_vcpu(&f->herd, entry, 0, "state");
    reason = herd_vcpu(&f->herd, entry, 0, "reason");
    g_assert_cmpstr(state, ==, "wanted");
    g_assert_nonnull(strstr(reason, "affinity-pin"));
    /* Its place is free again: the next round gives it to who waits. */
    fake_guest_float(other->guest, 0);
    vh_round_run(f->herd.round, "a task has ended");
    g_assert_cmpstr(fake_host_pin(FIRST), ==, f->cpu);
}

/* Who is released leaves its place to others, too. */
static void test_released(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = NULL;
    struct vh_entry *other = NULL;

    begin(f, "[guest *]\npool = @\n");
    entry = herd_add(&f->herd, "web", 1, FIRST);
    other = herd_add(&f->herd, "db", 1, OTHER);
    fake_guest_anchor(entry->guest, 0);
    fake_guest_anchor(other->guest, 0);
    vh_round_run(f->herd.round, "hints");
    g_assert_cmpstr(fake_host_pin(FIRST), ==, f->cpu);
    entry->held = true;
    vh_round_run(f->herd.round, "released by hand");
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(OTHER), ==, f->cpu);
}

/* Nothing is wished, but the policy has a place for every vCPU; a hand that releases goes first. */
static void test_placed_by_policy(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = NULL;

    begin(f, "[guest *]\npool = @\nfloating = pool\n");
    entry = herd_add(&f->herd, "web", 2, FIRST);
    vh_round_run(f->herd.round, "it has come");
    g_assert_cmpstr(fake_host_pin(FIRST), ==, f->cpu);
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, f->cpu);
    entry->held = true;
    g_assert_cmpuint(vh_round_run(f->herd.round, "released by hand"), ==, 2);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
}

/* What concerns a whole guest is its problem, and in the journal once. */
static void test_problem(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = NULL;
    struct vh_entry *other = NULL;
    g_autofree char *journal = NULL;
    const char *first = NULL;

    begin(f, "[guest a*]\npool = @\nsharing = dedicated\n");
    entry = herd_add(&f->herd, "a1", 1, FIRST);
    other = herd_add(&f->herd, "a2", 1, OTHER);
    vh_round_run(f->herd.round, "they have come");
    vh_round_run(f->herd.round, "nothing");
    g_assert_null(entry->problem);
    g_assert_nonnull(other->problem);
    g_assert_nonnull(strstr(other->problem, "a1"));
    herd_remove(&f->herd, entry);
    vh_round_run(f->herd.round, "one has gone");
    g_assert_null(other->problem);
    journal = herd_end_journal(&f->herd);
    first = strstr(journal, "\"placement\"");
    g_assert_nonnull(first);
    g_assert_nonnull(strstr(first, "no problem any longer"));
    first = strstr(first + 1, "\"placement\"");
    g_assert_nonnull(first); /* once when it came, once when it went */
    g_assert_null(strstr(first + 1, "\"placement\""));
}

#define ADD(name, func) g_test_add("/plan/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("full", test_full);
    ADD("released", test_released);
    ADD("placed-by-policy", test_placed_by_policy);
    ADD("problem", test_problem);
    return g_test_run();
}
