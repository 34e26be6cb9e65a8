/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/run.c: a guest that stands still, migrates, and comes back. */
#include "lib/guest-stage.h"

#include "lib/loop.h"

#define RUNNING "{\"status\": \"running\", \"running\": true}"
#define STOPPED "{\"status\": \"paused\", \"running\": false}"
#define UNDECIDED "{\"status\": \"finish-migrate\", \"running\": false}"
#define GONE "{\"status\": \"postmigrate\", \"running\": false}"

/* QEMU's state is `status` now, and an event says that it may have changed. */
static void event(struct guest_stage *f, const char *name, const char *data, const char *status)
{
    fake_monitor_reply(&f->monitor, "query-status", status);
    fake_monitor_event(&f->monitor, name, data);
    guest_stage_turn();
}

static void assert_away(struct guest_stage *f)
{
    guest_stage_assert_vcpus(f, "0:");
    guest_stage_assert_told(f, "problem", "it has migrated, or was saved: QEMU has handed it over");
    g_assert_false(vh_guest_is_connected(f->guest));
    g_assert_true(vh_guest_is_settled(f->guest));
}

static void test_stands_still(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    g_assert_null(vh_guest_unsteady(f->guest));
    event(f, "STOP", NULL, STOPPED);
    guest_stage_assert_changed(f, "the guest stands still; ");
    g_assert_cmpstr(vh_guest_unsteady(f->guest), ==, "the guest stood still meanwhile");
    guest_stage_assert_vcpus(f, "2: 7 3");
    event(f, "STOP", NULL, STOPPED);
    guest_stage_assert_changed(f, "");
    event(f, "RESUME", NULL, RUNNING);
    guest_stage_assert_changed(f, "the guest goes on; ");
    g_assert_null(vh_guest_unsteady(f->guest));
    g_assert_true(vh_guest_is_settled(f->guest));
}

/* QEMU is asked as soon as it is there, and told to say events of a migration. */
static void test_began_stopped(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_monitor_reply(&f->monitor, "query-status", "{\"status\": \"prelaunch\"}");
    guest_stage_start(f);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "migrate-set-capabilities"), ==, 1);
    g_assert_cmpstr(vh_guest_unsteady(f->guest), ==, "the guest stood still meanwhile");
    guest_stage_assert_vcpus(f, "2: 7 3");
}

static void test_migrates(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    uint64_t before = 0;

    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_string_truncate(f->changed, 0);
    before = f->port.hello.session;
    event(f, "MIGRATION", "{\"status\": \"active\"}", RUNNING);
    guest_stage_assert_changed(f, "the guest is being migrated; ");
    g_assert_cmpstr(vh_guest_unsteady(f->guest), ==, "the guest was being migrated meanwhile");
    event(f, "MIGRATION", "{\"status\": \"pre-switchover\"}", RUNNING);
    guest_stage_assert_changed(f, "");
    event(f, "MIGRATION", "{\"status\": \"completed\"}", GONE);
    guest_stage_assert_changed(f, "the guest's migration has ended; "
                                  "the guest's injector is not connected any longer; "
                                  "the guest has migrated; the guest stands still; ");
    assert_away(f);
    /* The channel stays, for whoever may speak there again. */
    g_assert_true(fake_port_is_connected(&f->port));
    g_assert_cmpuint(f->port.hello.session, !=, before);
    /* Nobody asks for the vCPUs of a guest that is away. */
    fake_monitor_heard(&f->monitor, "query-cpus-fast");
    event(f, "RESET", NULL, GONE);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-cpus-fast"), ==, 0);
    event(f, "STOP", NULL, UNDECIDED);
    assert_away(f);
}

/* What was asked for before it went does not bring its vCPUs back. */
static void test_migrates_while_asked(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    fake_monitor_withhold(&f->monitor, "query-cpus-fast");
    fake_monitor_event(&f->monitor, "RESET", NULL);
    event(f, "STOP", NULL, GONE);
    fake_monitor_answer(&f->monitor, f->cpus);
    guest_stage_turn();
    assert_away(f);
}

static void test_comes_back(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    event(f, "STOP", NULL, GONE);
    assert_away(f);
    g_string_truncate(f->changed, 0);
    event(f, "RESUME", NULL, RUNNING);
    guest_stage_assert_changed(f, "the guest goes on; the guest's vCPUs have changed; ");
    guest_stage_assert_vcpus(f, "2: 7 3");
    g_assert_false(vh_guest_is_settled(f->guest));
    guest_stage_greet(f);
    g_assert_true(vh_guest_is_settled(f->guest));
}

/* While it is undecided who has the guest, nothing is concluded, and QEMU is asked again though no
 * event comes. */
static void test_undecided(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guint asked = 0;

    guest_stage_up(f);
    fake_monitor_heard(&f->monitor, "query-status");
    event(f, "STOP", NULL, UNDECIDED);
    guest_stage_assert_changed(f, "the guest stands still; ");
    guest_stage_assert_vcpus(f, "2: 7 3");
    g_assert_true(vh_guest_is_connected(f->guest));
    LOOP_UNTIL((asked += fake_monitor_heard(&f->monitor, "query-status")) >= 3);
    guest_stage_assert_changed(f, "");
    fake_monitor_reply(&f->monitor, "query-status", GONE);
    LOOP_UNTIL(f->changed->len);
    guest_stage_turn();
    assert_away(f);
    /* Then it is known, and no question comes by itself. */
    guest_stage_turn();
    fake_monitor_heard(&f->monitor, "query-status");
    event(f, "MIGRATION", "{\"status\": \"completed\"}", GONE);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-status"), ==, 1);
}

/* One that fails at the last moment goes on here. */
static void test_undecided_and_failed(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    event(f, "STOP", NULL, UNDECIDED);
    g_string_truncate(f->changed, 0);
    event(f, "RESUME", NULL, RUNNING);
    guest_stage_assert_changed(f, "the guest goes on; ");
    guest_stage_assert_wishes(f, "- A0");
    g_assert_true(vh_guest_is_settled(f->guest));
}

/* With postcopy it runs there while its memory still follows: QEMU stays in finish-migrate. */
static void test_postcopy(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    event(f, "MIGRATION", "{\"status\": \"active\"}", RUNNING);
    event(f, "STOP", NULL, UNDECIDED);
    guest_stage_assert_vcpus(f, "2: 7 3");
    event(f, "MIGRATION", "{\"status\": \"postcopy-active\"}", UNDECIDED);
    assert_away(f);
    g_assert_cmpstr(vh_guest_unsteady(f->guest), ==, "the guest was being migrated meanwhile");
}

/* An answer that is older than the last question says nothing. */
static void test_last_answer(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    fake_monitor_withhold(&f->monitor, "query-status");
    fake_monitor_event(&f->monitor, "STOP", NULL);
    guest_stage_turn();
    fake_monitor_event(&f->monitor, "RESUME", NULL);
    guest_stage_turn();
    fake_monitor_answer(&f->monitor, GONE);
    guest_stage_turn();
    guest_stage_assert_changed(f, "");
    guest_stage_assert_vcpus(f, "2: 7 3");
    fake_monitor_answer(&f->monitor, STOPPED);
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest stands still; ");
}

/* Of a QEMU that is lost nothing is known, and the next one is asked. */
static void test_monitor_lost(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    event(f, "MIGRATION", "{\"status\": \"active\"}", RUNNING);
    event(f, "STOP", NULL, GONE);
    assert_away(f);
    g_string_truncate(f->changed, 0);
    fake_monitor_reply(&f->monitor, "query-status", RUNNING);
    fake_monitor_hang_up(&f->monitor);
    LOOP_UNTIL(f->changed->len);
    g_assert_null(vh_guest_unsteady(f->guest));
    g_assert_false(vh_guest_is_settled(f->guest));
    g_string_truncate(f->changed, 0);
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_vcpus(f, "2: 7 3");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) \
    g_test_add("/guest/run/" name, struct guest_stage, NULL, guest_stage_begin, func, \
               guest_stage_end)
    ADD("stands-still", test_stands_still);
    ADD("began-stopped", test_began_stopped);
    ADD("migrates", test_migrates);
    ADD("migrates-while-asked", test_migrates_while_asked);
    ADD("comes-back", test_comes_back);
    ADD("undecided", test_undecided);
    ADD("undecided-and-failed", test_undecided_and_failed);
    ADD("postcopy", test_postcopy);
    ADD("last-answer", test_last_answer);
    ADD("monitor-lost", test_monitor_lost);
    return g_test_run();
}
