/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/round/boost.c: what trials let be in force. */
#include "round/round.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "lib/herd.h"

/* Threads that need not exist. */
#define FIRST 5000000
#define PROCESS 5000050

static const struct vh_rule nice_rule = {
    .name = (char *)"urgent", .what = {.action = &vh_action_boost, .how = VH_BOOST_NICE}};
static const struct vh_rule rr_rule = {.name = (char *)"urgent",
                                       .what = {.action = &vh_action_boost, .how = VH_BOOST_RR}};
static const struct vh_rule tried_boost = {
    .name = (char *)"urgent",
    .what = {.action = &vh_action_boost, .how = VH_BOOST_NICE},
    .trial = true};
static const struct vh_rule tried_pin = {
    .name = (char *)"affinity-pin", .what = {.action = &vh_action_pin}, .trial = true};

static void set_up(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_begin(f, "");
}

static void tear_down(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    herd_end(f);
}

/* What Explain says of the first action of that kind. The caller's; NULL: it has none. */
static GVariant *explained(struct herd *f, const struct vh_entry *entry, const char *action)
{
    g_autoptr(GVariant) all = g_variant_ref_sink(vh_round_explain(f->round, entry));

    for (gsize i = 0; i < g_variant_n_children(all); i++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(all, i);
        const char *its = "";

        (void)g_variant_lookup(dict, "action", "&s", &its);
        if (g_str_equal(its, action))
            return g_steal_pointer(&dict);
    }
    return NULL;
}

static void test_begins_and_ends(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 2, FIRST);

    entry->guest->wishes[1].boost = &nice_rule;
    vh_round_run(f->round, "a hint");
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "");
    g_assert_cmpstr(fake_host_boost(FIRST + 1), ==, "nice");
    g_assert_cmpstr(fake_host_pin(FIRST + 1), ==, ""); /* a boost is no pin */
    vh_round_run(f->round, "another hint");
    g_assert_cmpuint(fake_host_applied(), ==, 1);
    fake_guest_float(entry->guest, 1);
    g_assert_cmpuint(vh_round_run(f->round, "it waits no longer"), ==, 1);
    g_assert_cmpstr(fake_host_boost(FIRST + 1), ==, "");
}

static void test_released(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);

    entry->guest->wishes[0].boost = &nice_rule;
    vh_round_run(f->round, "a hint");
    entry->held = true;
    g_assert_cmpuint(vh_round_run(f->round, "released by hand"), ==, 1);
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "");
}

static void test_failure_is_shown(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);
    g_autoptr(GVariant) boost = NULL;
    const char *problem = "";

    entry->guest->wishes[0].boost = &nice_rule;
    fake_host_refuse_boost(FIRST, VH_ERROR_FAILED, "the kernel says no");
    vh_round_run(f->round, "a hint");
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "");
    boost = explained(f, entry, "boost by nice");
    g_assert_nonnull(boost);
    g_assert_true(g_variant_lookup(boost, "problem", "&s", &problem));
    g_assert_cmpstr(problem, ==, "the kernel says no");
}

/* Emulated vCPUs wake up by QEMU's first thread. It goes before others only while the warden keeps
 * watch. */
static void test_timers(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);

    entry->guest->process = PROCESS;
    entry->guest->emulated = true;
    entry->guest->wishes[0].boost = &rr_rule;
    vh_round_run(f->round, "a hint");
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "rr");
    g_assert_cmpstr(fake_host_boost(PROCESS), ==, "");
    vh_saved_shared(f->saved)->warded = 1;
    vh_round_run(f->round, "the warden is there");
    g_assert_cmpstr(fake_host_boost(PROCESS), ==, "rr");
    entry->guest->emulated = false;
    vh_round_run(f->round, "it is not emulated after all");
    g_assert_cmpstr(fake_host_boost(PROCESS), ==, "");
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "rr");
}

/* One that must prove itself is measured without it first. A thread that is not there cannot be
 * measured, so nothing ever speaks for it. */
static void test_on_trial(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 2, FIRST);
    g_autoptr(GVariant) boost = NULL;
    g_autoptr(GVariant) pin = NULL;
    gboolean in_force = TRUE;

    entry->guest->wishes[0].boost = &tried_boost;
    fake_guest_anchor(entry->guest, 1);
    entry->guest->wishes[1].tried = &tried_pin;
    vh_round_run(f->round, "hints");
    g_assert_cmpstr(fake_host_boost(FIRST), ==, "");
    boost = explained(f, entry, "boost by nice");
    g_assert_nonnull(boost);
    g_assert_true(g_variant_lookup(boost, "in_force", "b", &in_force));
    g_assert_false(in_force);
    pin = explained(f, entry, "pin");
    g_assert_nonnull(pin);
    g_assert_true(g_variant_lookup(pin, "trial", "b", &in_force));
    g_assert_true(in_force);
}

/* A pin that a former daemon has found good goes on without a new trial. */
static void test_adopted_without_trial(struct herd *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_entry *entry = herd_add(f, "web", 1, FIRST);

    fake_guest_anchor(entry->guest, 0);
    vh_round_run(f->round, "a hint");
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
    herd_replace(f);
    entry = herd_add(f, "web", 1, FIRST);
    fake_guest_anchor(entry->guest, 0);
    entry->guest->wishes[0].tried = &tried_pin;
    vh_round_take(f->round, entry);
    g_assert_cmpuint(vh_round_run(f->round, "the guest has said what holds"), ==, 0);
    g_assert_cmpstr(fake_host_pin(FIRST), !=, "");
    g_assert_cmpuint(fake_host_applied(), ==, 1);
}

#define ADD(name, func) g_test_add("/boost/" name, struct herd, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("begins-and-ends", test_begins_and_ends);
    ADD("released", test_released);
    ADD("failure-is-shown", test_failure_is_shown);
    ADD("timers", test_timers);
    ADD("on-trial", test_on_trial);
    ADD("adopted-without-trial", test_adopted_without_trial);
    return g_test_run();
}
