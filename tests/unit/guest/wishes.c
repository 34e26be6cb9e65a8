/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/wishes.c and guest/hints.c: what hints make a guest wish for, and when that is told.
 */
#include "guest/state.h"
#include "lib/guest-stage.h"

#include "lib/loop.h"

static void test_hint(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_assert_wishes(f, "- -");
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_assert_changed(f, "a hint has changed; ");
    guest_stage_assert_wishes(f, "- A0");
    /* The same again, and a second task on the same CPU, ask for nothing new. */
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_tasks(f, 11, 1, 1 << 0);
    guest_stage_assert_changed(f, "");
    guest_stage_tasks(f, 11, 1, 0);
    guest_stage_assert_changed(f, "");
    guest_stage_tasks(f, 10, 1, 0);
    guest_stage_assert_changed(f, "the hint that asked for it is gone; ");
    guest_stage_assert_wishes(f, "- -");
    guest_stage_tasks(f, 12, 1, 3);
    guest_stage_assert_wishes(f, "G1 G1");
}

/* A batch is one change, whatever is in it. */
static void test_one_turn(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 200, 1 << 1);
    guest_stage_assert_changed(f, "a hint has changed; ");
    guest_stage_assert_wishes(f, "A1 -");
    guest_stage_assert_told(f, "hints", "200");
    guest_stage_assert_told(f, "facts", "200");
}

static void test_hints_that_lie(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_hint strange = fake_hint(sizeof(strange), 99, 0);
    const struct vh_batch batch = {.program = STAGE_PROGRAM, .count = 1, .seq = 1};

    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 5);
    guest_stage_assert_wishes(f, "- -");
    guest_stage_assert_told(f, "refused", "1");
    fake_port_say(&f->port, VH_HINTS, 0, &batch, sizeof(batch), &strange, sizeof(strange));
    guest_stage_turn();
    guest_stage_assert_told(f, "refused", "2");
}

/* What a snapshot does not confirm is gone. */
static void test_snapshot(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    f->seq += 3; /* lost */
    guest_stage_tasks(f, 11, 1, 1 << 0);
    fake_port_assert_heard(&f->port, "RESYNC ");
    g_assert_false(vh_guest_is_settled(f->guest));
    guest_stage_assert_changed(f, "a hint has changed; ");
    guest_stage_snapshot(f, 12, 1 << 1);
    guest_stage_assert_changed(f, "a snapshot did not confirm it; ");
    guest_stage_assert_wishes(f, "A1 -");
    g_assert_true(vh_guest_is_settled(f->guest));
}

static void test_program_goes(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_assert_changed(f, "a hint has changed; ");
    fake_port_programs(&f->port, 0, "", (const uint8_t[VH_DIGEST_SIZE]){0}, 0);
    guest_stage_turn();
    guest_stage_assert_changed(f, "the program that said so is gone; ");
    guest_stage_assert_wishes(f, "- -");
    fake_port_assert_heard(&f->port, "LOAD ");
}

/* Rules that hold a wish end it by the clock. */
static void test_timer(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_tasks(f, 10, 1, 0);
    guest_stage_assert_wishes(f, "- A0");
    g_string_truncate(f->changed, 0);
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_changed(f, "it was due now; ");
    guest_stage_assert_wishes(f, "- -");
}

static void test_policy_changes(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_string_truncate(f->changed, 0);
    guest_stage_set_policy(f, "rules = group\n");
    guest_stage_assert_changed(f, "the policy has changed; ");
    guest_stage_assert_wishes(f, "- -");
    guest_stage_set_policy(f, "");
    guest_stage_assert_wishes(f, "- A0");
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "");
}

/* Hints that come before QEMU has told of its vCPUs are looked at again once it has. */
static void test_before_vcpus(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_monitor_withhold(&f->monitor, "query-cpus-fast");
    guest_stage_start(f);
    guest_stage_greet(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_assert_wishes(f, "");
    guest_stage_assert_told(f, "refused", "0");
    g_assert_false(vh_guest_is_settled(f->guest));
    g_string_truncate(f->changed, 0);
    fake_monitor_answer(&f->monitor, f->cpus);
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest's vCPUs have changed; ");
    guest_stage_assert_wishes(f, "- A0");
    g_assert_true(vh_guest_is_settled(f->guest));
}

/* ---- max-hints: 100 a second, of which 200 come at once: a second too early ---- */

#define LIMIT "max-hints = 100/s\n"

static void test_deferred(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 200, 1 << 0);
    guest_stage_tasks(f, 5000, 1, 1 << 1);
    guest_stage_assert_changed(f, "");
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_changed(f, "it was due now; ");
    guest_stage_assert_wishes(f, "A1 A0");
}

/* Whoever asks meanwhile is told what held before, and does not make it look as if nothing had
 * changed. */
static void test_deferred_and_asked(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 200, 1 << 0);
    guest_stage_assert_wishes(f, "- -");
    f->guest->deferred = 1; /* the time has come, but the timer is late: the thread was busy */
    fake_port_say(&f->port, VH_PONG, 0, NULL, 0, NULL, 0);
    guest_stage_turn();
    guest_stage_assert_changed(f, "a hint has changed; ");
    guest_stage_assert_wishes(f, "- A0");
}

/* What is no hint does not wait for the wishes that do: a vCPU that is gone has none. */
static void test_deferred_and_vcpus(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *one = guest_stage_cpus(f, 1, 1);

    guest_stage_up(f);
    guest_stage_tasks(f, 10, 200, 1 << 0);
    fake_monitor_reply(&f->monitor, "query-cpus-fast", one);
    fake_monitor_event(&f->monitor, "DEVICE_DELETED", "{}");
    guest_stage_turn();
    guest_stage_assert_vcpus(f, "1: 3");
    guest_stage_assert_wishes(f, "A0");
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_wishes(f, "A0");
}

/* An injector that goes takes its debt along. */
static void test_deferred_and_gone(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 200, 1 << 0);
    fake_port_hang_up(&f->port);
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest's injector is not connected any longer; ");
    guest_stage_assert_wishes(f, "- -");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, policy, func) \
    g_test_add("/guest/wishes/" name, struct guest_stage, policy, guest_stage_begin, func, \
               guest_stage_end)
    ADD("hint", NULL, test_hint);
    ADD("one-turn", NULL, test_one_turn);
    ADD("hints-that-lie", NULL, test_hints_that_lie);
    ADD("snapshot", NULL, test_snapshot);
    ADD("program-goes", NULL, test_program_goes);
    ADD("timer", "[rule pin]\nhold = 50ms\n", test_timer);
    ADD("policy-changes", NULL, test_policy_changes);
    ADD("before-vcpus", NULL, test_before_vcpus);
    ADD("deferred", LIMIT, test_deferred);
    ADD("deferred-and-asked", LIMIT, test_deferred_and_asked);
    ADD("deferred-and-vcpus", LIMIT, test_deferred_and_vcpus);
    ADD("deferred-and-gone", LIMIT, test_deferred_and_gone);
    return g_test_run();
}
