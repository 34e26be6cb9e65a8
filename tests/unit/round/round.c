/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/round.c: from wishes to what the host has, and back. */
#include "round/round.h"

#include <string.h>

#include "base/error.h"
#include "lib/herd.h"

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

static void assert_vcpu(struct herd *f, const struct vh_entry *entry, unsigned position,
                        const char *state, const char *reason)
{
    g_autofree char *its_state = herd_vcpu(f, entry, position, "state");
    g_autofree char *its_reason = herd_vcpu(f, entry, position, "reason");

    g_assert_cmpstr(its_state, ==, state);
    if (!strstr(its_reason, reason))
        g_error("\"%s\" does not say \"%s\"", its_reason, reason);
}

static bool is_one_cpu(const char *list)
{
    return *list && strspn(list, "0123456789") == strlen(list);
}

static void test_wish_becomes_pin(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 2, FIRST);

    g_assert_cmpuint(vh_round_run(f->round, "nothing"), ==, 0);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    fake_guest_anchor(entry->guest, 0);
    g_assert_cmpuint(vh_round_run(f->round, "a hint"), ==, 0);
    g_assert_true(is_one_cpu(fake_host_pin(FIRST)));
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, "");
    g_assert_cmpuint(vh_round_pinned(f->round, entry), ==, 1);
    assert_vcpu(f, entry, 0, "pinned", "affinity-pin");
    assert_vcpu(f, entry, 1, "floating", "");
    /* Two anchors never share a host CPU. */
    fake_guest_anchor(entry->guest, 1);
    vh_round_run(f->round, "another hint");
    g_assert_true(is_one_cpu(fake_host_pin(FIRST + 1)));
    g_assert_cmpstr(fake_host_pin(FIRST), !=, fake_host_pin(FIRST + 1));
}

/* What is as it should be costs no call. */
static void test_again_does_nothing(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);

    fake_guest_anchor(entry->guest, 0);
    for (unsigned i = 0; i < 5; i++)
        vh_round_run(f->round, "a hint");
    g_assert_cmpuint(fake_host_applied(), ==, 1);
    g_assert_cmpuint(fake_host_reverted(), ==, 0);
}

static void test_pin_ends(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 2, FIRST);
    g_autofree char *other = NULL;

    fake_guest_anchor(entry->guest, 0);
    fake_guest_anchor(entry->guest, 1);
    vh_round_run(f->round, "hints");
    other = g_strdup(fake_host_pin(FIRST + 1));
    fake_guest_float(entry->guest, 0);
    g_assert_cmpuint(vh_round_run(f->round, "its task has ended"), ==, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, other); /* nobody else moves */
    assert_vcpu(f, entry, 0, "floating", "");
}

static void test_released(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    struct vh_entry *other = herd_add(f, "db", 1, OTHER);

    fake_guest_anchor(entry->guest, 0);
    fake_guest_anchor(other->guest, 0);
    vh_round_run(f->round, "hints");
    entry->held = true;
    g_assert_cmpuint(vh_round_run(f->round, "released by hand"), ==, 1);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
    assert_vcpu(f, entry, 0, "floating", "released by hand");
    entry->held = false;
    g_assert_cmpuint(vh_round_run(f->round, "resumed by hand"), ==, 0);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
}

static void test_guest_leaves(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    struct vh_entry *other = herd_add(f, "db", 1, OTHER);

    fake_guest_anchor(entry->guest, 0);
    fake_guest_anchor(other->guest, 0);
    vh_round_run(f->round, "hints");
    herd_remove(f, entry);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    vh_round_run(f->round, "the guest has gone");
    g_assert_cmpstr(fake_host_pin(OTHER), !=, "");
    g_assert_cmpuint(fake_host_reverted(), ==, 1);
}

static void test_seat_of_others(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    const struct vh_seat seat = {VH_SEAT_VCPU, 0};
    gpointer key = GUINT_TO_POINTER(vh_seat_key(seat));

    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->round, "a hint");
    g_hash_table_insert(entry->off, key, g_strdup("libvirt has pinned it"));
    vh_round_yield(f->round, entry, seat);
    vh_round_run(f->round, "libvirt has pinned it");
    g_assert_cmpuint(fake_host_reverted(), ==, 0); /* what they have set stays */
    g_assert_cmpuint(vh_round_pinned(f->round, entry), ==, 0);
    assert_vcpu(f, entry, 0, "floating", "libvirt has pinned it");
    g_hash_table_remove(entry->off, key);
    vh_round_run(f->round, "it is ours again");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
    assert_vcpu(f, entry, 0, "pinned", "affinity-pin");
}

static void test_failure_is_shown(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    g_autofree char *journal = NULL;

    fake_guest_anchor(entry->guest, 0);
    fake_host_refuse_pin(FIRST, VH_ERROR_FAILED, "the kernel says no");
    vh_round_run(f->round, "a hint");
    g_assert_cmpuint(vh_round_pinned(f->round, entry), ==, 0);
    assert_vcpu(f, entry, 0, "wanted", "the kernel says no");
    g_assert_false(vh_round_is_barred(f->round, entry));
    /* It is not tried again until something has changed. */
    fake_host_refuse_pin(FIRST, 0, NULL);
    vh_round_run(f->round, "another hint");
    assert_vcpu(f, entry, 0, "wanted", "the kernel says no");
    vh_round_forgive(f->round);
    vh_round_run(f->round, "the host's CPUs have changed");
    assert_vcpu(f, entry, 0, "pinned", "affinity-pin");
    journal = herd_end_journal(f);
    g_assert_nonnull(strstr(journal, "the kernel says no"));
}

static void test_barred(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);

    fake_guest_anchor(entry->guest, 0);
    fake_host_refuse_pin(FIRST, VH_ERROR_REFUSED, "its control group allows less");
    vh_round_run(f->round, "a hint");
    g_assert_true(vh_round_is_barred(f->round, entry));
    assert_vcpu(f, entry, 0, "wanted", "its control group allows less");
}

/* The plan was for a CPU that has just gone: the same run finds another. */
static void test_cpu_goes_offline(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    g_autofree char *first = NULL;

    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->round, "a hint");
    first = g_strdup(fake_host_pin(FIRST));
    fake_guest_float(entry->guest, 0);
    vh_round_run(f->round, "its task has ended");
    fake_host_offline((unsigned)g_ascii_strtoull(first, NULL, 10));
    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->round, "a hint");
    g_assert_true(is_one_cpu(fake_host_pin(FIRST)));
    g_assert_cmpstr(fake_host_pin(FIRST), !=, first);
}

static void test_recheck(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);

    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->round, "a hint");
    vh_round_recheck(f->round, entry, "nothing has changed");
    g_assert_cmpuint(fake_host_applied(), ==, 1);
    fake_host_disturb(FIRST);
    vh_round_recheck(f->round, entry, "its maker has set a mask");
    g_assert_cmpuint(fake_host_applied(), ==, 2);
}

static void test_undo(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 2, FIRST);
    g_autofree char *journal = NULL;

    fake_guest_anchor(entry->guest, 0);
    fake_guest_anchor(entry->guest, 1);
    vh_round_run(f->round, "hints");
    g_assert_cmpuint(fake_host_reverted(), ==, 0);
    herd_stop(f);
    g_assert_cmpstr(fake_host_pin(FIRST), ==, "");
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, "");
    journal = herd_end_journal(f);
    g_assert_nonnull(strstr(journal, "unpin vCPU 0"));
    g_assert_nonnull(strstr(journal, "unpin vCPU 1"));
}

#define ADD(name, func) g_test_add("/round/" name, struct herd, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("wish-becomes-pin", test_wish_becomes_pin);
    ADD("again-does-nothing", test_again_does_nothing);
    ADD("pin-ends", test_pin_ends);
    ADD("released", test_released);
    ADD("guest-leaves", test_guest_leaves);
    ADD("seat-of-others", test_seat_of_others);
    ADD("failure-is-shown", test_failure_is_shown);
    ADD("barred", test_barred);
    ADD("cpu-goes-offline", test_cpu_goes_offline);
    ADD("recheck", test_recheck);
    ADD("undo", test_undo);
    return g_test_run();
}
