/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/wishes.c and guest/hints.c: what hints make a guest wish for, and when that is told.
 */
#include "base/error.h"
#include "guest/state.h"
#include "lib/guest-stage.h"
#include "lib/loop.h"
#include "programs/state.h"

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

/* ---- what is injected and ejected by hand, and ends by the clock ---- */

#define BY_HAND "[guest web]\nprograms = none\n"

static void on_done(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    *(GAsyncResult **)data = g_object_ref(result);
}

static void assert_timed_out(GAsyncResult *result)
{
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(result);
    g_assert_cmpint(g_task_propagate_int(G_TASK(result), &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_TIMED_OUT);
    g_object_unref(result);
}

/* Says which program runs, if any, and that it has no facts yet. */
static void say_runs(struct guest_stage *f, uint32_t id)
{
    static const uint8_t digest[VH_DIGEST_SIZE];

    fake_port_programs(&f->port, id, "affinity", digest, f->seq);
    guest_stage_turn();
    if (id)
        guest_stage_snapshot(f, 0, 0);
    g_string_truncate(f->port.heard, 0);
}

/* The guest's kernel is at it for longer than anybody waits. */
static void let_time_pass(struct guest_stage *f)
{
    const VhPrograms *programs = vh_guest_programs(f->guest);
    struct vh_call *call = g_ptr_array_index(programs->calls, 0);

    call->since -= (gint64)VH_ANSWER_SECONDS * G_USEC_PER_SEC;
    g_source_set_ready_time(g_main_context_find_source_by_id(NULL, call->timer), 0);
    guest_stage_turn();
    g_assert_cmpuint(programs->calls->len, ==, 0);
}

/* The guest's number of what it runs comes before the answer, which never comes. */
static void begin_inject(struct guest_stage *f, GAsyncResult **result)
{
    guest_stage_start(f);
    fake_port_hello(&f->port, 77, VH_WIRE_MIN, VH_WIRE_MAX);
    fake_port_cpus(&f->port, (const uint32_t[]){3, 7}, STAGE_VCPUS);
    say_runs(f, 0);
    vh_programs_inject(vh_guest_programs(f->guest), fake_object_affinity(), g_bytes_new(NULL, 0),
                       false, g_task_new(NULL, NULL, on_done, result));
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "LOAD ");
}

static void test_inject_times_out(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    GAsyncResult *result = NULL;

    begin_inject(f, &result);
    say_runs(f, STAGE_PROGRAM);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_assert_wishes(f, "- A0");
    g_string_truncate(f->changed, 0);
    let_time_pass(f);
    assert_timed_out(result);
    guest_stage_assert_changed(f, "the program that said so is gone; ");
    guest_stage_assert_wishes(f, "- -");
    /* It runs, and nobody wants it. */
    fake_port_assert_heard(&f->port, "UNLOAD ");
}

static void test_eject_times_out(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    GAsyncResult *result = NULL;
    struct vh_answer answer = {.program = STAGE_PROGRAM};

    begin_inject(f, &result);
    fake_port_say(&f->port, VH_ANSWER, f->port.last_id, &answer, sizeof(answer), NULL, 0);
    LOOP_UNTIL(result);
    g_clear_object(&result);
    say_runs(f, STAGE_PROGRAM);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_assert_wishes(f, "- A0");
    vh_programs_eject(vh_guest_programs(f->guest), "affinity",
                      g_task_new(NULL, NULL, on_done, &result));
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "UNLOAD ");
    g_string_truncate(f->changed, 0);
    let_time_pass(f);
    assert_timed_out(result);
    guest_stage_assert_changed(f, "the program that said so is gone; ");
    guest_stage_assert_wishes(f, "- -");
    g_assert_cmpuint(vh_programs_count(vh_guest_programs(f->guest)), ==, 0);
    /* It is asked for once more, and nobody waits for that. */
    fake_port_assert_heard(&f->port, "UNLOAD ");
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
    ADD("inject-times-out", BY_HAND, test_inject_times_out);
    ADD("eject-times-out", BY_HAND, test_eject_times_out);
    ADD("timer", "[rule pin]\nhold = 50ms\n", test_timer);
    ADD("policy-changes", NULL, test_policy_changes);
    ADD("before-vcpus", NULL, test_before_vcpus);
    ADD("deferred", LIMIT, test_deferred);
    ADD("deferred-and-asked", LIMIT, test_deferred_and_asked);
    ADD("deferred-and-vcpus", LIMIT, test_deferred_and_vcpus);
    ADD("deferred-and-gone", LIMIT, test_deferred_and_gone);
    return g_test_run();
}
