/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/channel.c and guest/monitor.c: an injector that comes, goes and comes back, and what
 * QEMU says of its port. */
#include <errno.h>
#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

#include "channel/state.h"
#include "guest/state.h"
#include "lib/guest-stage.h"
#include "lib/loop.h"

static void assert_problem(struct guest_stage *f, const char *part)
{
    g_auto(VhGuestPortrait) portrait = {0};
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    const char *problem = NULL;

    vh_guest_portray(f->guest, &portrait);
    vh_guest_portrait_describe(&portrait, &dict);
    g_assert_true(g_variant_dict_lookup(&dict, "problem", "&s", &problem));
    if (!g_strrstr(problem, part) || !*part != !*problem)
        g_error("\"%s\" does not say \"%s\"", problem, part);
}

/* The socket comes later than the guest, the injector later than the socket. */
static void test_connect(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_assert_cmpint(g_remove(f->port.path), ==, 0);
    fake_port_end(&f->port);
    fake_port_begin(&f->port, f->directory);
    f->config.channel = f->port.path;
    vh_guest_start(f->guest);
    guest_stage_turn();
    assert_problem(f, "channel: No such file");
    fake_port_listen(&f->port);
    LOOP_UNTIL(f->port.heard->len);
    fake_port_assert_heard(&f->port, "HELLO ");
    g_assert_cmpuint(f->port.hello.peer, ==, 0);
    g_assert_false(vh_guest_is_connected(f->guest));
    assert_problem(f, "start vhint-injector in the guest");
    guest_stage_assert_told(f, "connected", "false");
    guest_stage_assert_told(f, "release", "");
    fake_port_hello(&f->port, 77, VH_WIRE_MIN, VH_WIRE_MAX);
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "HELLO ");
    g_assert_cmpuint(f->port.hello.peer, ==, 77);
    g_assert_true(vh_guest_is_connected(f->guest));
    g_assert_false(vh_guest_is_settled(f->guest));
    assert_problem(f, "");
    guest_stage_assert_told(f, "connected", "true");
    guest_stage_assert_told(f, "boot_id", "12340000-0000-0000-0000-0000000000ff");
    guest_stage_assert_told(f, "release", "6.1.0-test");
    guest_stage_assert_told(f, "injector", "fake 1");
}

/* All that an injector has said is void once it is gone. */
static void test_goes_and_comes_back(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_string_truncate(f->changed, 0);
    fake_port_hang_up(&f->port);
    LOOP_UNTIL(f->changed->len);
    guest_stage_assert_changed(f, "the guest's injector is not connected any longer; ");
    guest_stage_assert_wishes(f, "- -");
    guest_stage_assert_told(f, "facts", "0");
    guest_stage_assert_told(f, "boot_id", "");
    g_assert_cmpuint(vh_guest_cpus(f->guest)->count, ==, 0);
    LOOP_UNTIL(f->port.heard->len);
    guest_stage_greet(f);
    guest_stage_tasks(f, 11, 1, 1 << 1);
    guest_stage_assert_wishes(f, "A1 -");
}

static void answer_load(struct guest_stage *f, uint32_t program)
{
    struct vh_answer answer = {.program = program};

    fake_port_say(&f->port, VH_ANSWER, f->port.last_id, &answer, sizeof(answer), NULL, 0);
    guest_stage_turn();
}

/* Its program is another one all of a sudden: the former one's facts go, and what asks again later
 * asks of none that is freed. */
static void test_answer_with_another_id(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    static const uint8_t digest[VH_DIGEST_SIZE];

    guest_stage_start(f);
    fake_port_hello(&f->port, 77, VH_WIRE_MIN, VH_WIRE_MAX);
    fake_port_cpus(&f->port, (const uint32_t[]){3, 7}, STAGE_VCPUS);
    fake_port_programs(&f->port, 0, "", digest, 0);
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "HELLO HELLO LOAD ");
    fake_port_programs(&f->port, STAGE_PROGRAM, "affinity", digest, f->seq);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    guest_stage_assert_told(f, "facts", "1");
    f->port.last_id = 1;
    answer_load(f, 7);
    guest_stage_assert_told(f, "facts", "0");
    guest_stage_assert_wishes(f, "- -");
    guest_stage_set_policy(f, "max-pins = 1\n");
    guest_stage_assert_wishes(f, "- -");
}

/* Ever new sessions, and loads that are refused with a long log: the guest fills its own share of
 * the journal, and no more. */
static void test_talks_without_end(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    static const uint8_t digest[VH_DIGEST_SIZE];
    g_autofree char *path = g_build_filename(f->directory, "journal", NULL);
    g_autofree char *log = g_strnfill(VH_LOG_MAX, '\x1b');
    struct vh_answer refusal = {.error = EACCES, .log_len = VH_LOG_MAX};
    GStatBuf st;

    f->journal = vh_journal_new(path, NULL);
    vh_guest_free(f->guest);
    f->guest = guest_stage_new_guest(f);
    guest_stage_set_policy(f, "");
    guest_stage_start(f);
    for (unsigned i = 0; i < 1000; i++) {
        f->port.boot = (uint8_t)(i / 50); /* what was refused is tried again */
        f->guest->beginnings.used = 0;    /* as if it took its time */
        fake_port_hello(&f->port, 77 + i, VH_WIRE_MIN, VH_WIRE_MAX);
        f->port.last_id = 0;
        fake_port_programs(&f->port, 0, "", digest, 0);
        LOOP_UNTIL(f->port.last_id || i % 50);
        if (f->port.last_id)
            fake_port_say(&f->port, VH_ANSWER, f->port.last_id, &refusal, sizeof(refusal), log,
                          VH_LOG_MAX);
        guest_stage_turn();
    }
    vh_journal_step(f->journal, "other", "pin", "a neighbour's", NULL, NULL);
    vh_guest_free(f->guest);
    f->guest = guest_stage_new_guest(f);
    g_assert_cmpuint(vh_journal_dropped(f->journal), ==, 0);
    g_clear_pointer(&f->journal, vh_journal_free);
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, <, 2 * VH_JOURNAL_SHARE);
    g_assert_cmpint(st.st_size, >, 1000);
}

/* How many sessions have begun, if `count` of them are claimed. */
static unsigned claim_sessions(struct guest_stage *f, unsigned count)
{
    unsigned begun = 0;

    for (unsigned i = 0; i < count; i++) {
        fake_port_hello(&f->port, 1000 + i, VH_WIRE_MIN, VH_WIRE_MAX);
        guest_stage_turn();
        begun += vh_guest_is_connected(f->guest);
    }
    return begun;
}

/* Ever new sessions: so many begin at once, then one a second. What is held up is told once, and
 * begins by itself when it may. */
static void test_claims_sessions(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->directory, "journal", NULL);
    g_autofree char *told = NULL;
    gint64 begin = 0;

    f->journal = vh_journal_new(path, NULL);
    vh_guest_free(f->guest);
    f->guest = guest_stage_new_guest(f);
    guest_stage_start(f);
    begin = g_get_monotonic_time();
    g_assert_cmpuint(claim_sessions(f, 100), <=,
                     VH_GUEST_SESSIONS + (g_get_monotonic_time() - begin) / G_USEC_PER_SEC);
    g_assert_false(vh_guest_is_connected(f->guest));
    assert_problem(f, "may begin one a second");
    g_string_truncate(f->port.heard, 0);
    LOOP_UNTIL(f->port.heard->len); /* it asks again */
    fake_port_assert_heard(&f->port, "HELLO ");
    g_assert_cmpuint(f->port.hello.peer, ==, 0);
    guest_stage_greet(f);
    g_assert_true(vh_guest_is_connected(f->guest));
    assert_problem(f, "");
    g_assert_cmpuint(claim_sessions(f, 100), <=, 1);
    vh_guest_free(f->guest);
    f->guest = guest_stage_new_guest(f);
    g_clear_pointer(&f->journal, vh_journal_free);
    g_assert_true(g_file_get_contents(path, &told, NULL, NULL));
    g_assert_nonnull(strstr(told, "\"what\":\"sessions\""));
    g_assert_null(strstr(strstr(told, "\"what\":\"sessions\"") + 1, "\"what\":\"sessions\""));
}

/* What it costs to hear of programs, `VH_PROGRAMS_MAX` a frame, TALK bytes of frames in all: CPU
 * time in us. */
#define TALK 9500000u

static gint64 hear_of_programs(struct guest_stage *f, bool ever_new)
{
    struct vh_programs head = {.count = VH_PROGRAMS_MAX};
    struct vh_program programs[VH_PROGRAMS_MAX] = {{0}};
    struct timespec begin, end;
    gsize sent = 0;

    for (uint32_t i = 0; i < VH_PROGRAMS_MAX; i++)
        programs[i] =
            (struct vh_program){.id = 100 + i, .flags = VH_PROGRAM_HINTS | VH_PROGRAM_STATE};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    for (uint32_t round = 0; sent < TALK; round++) {
        for (uint32_t i = 0; i < VH_PROGRAMS_MAX; i++) {
            programs[i].id += ever_new ? VH_PROGRAMS_MAX : 0;
            g_snprintf(programs[i].name, VH_NAME_SIZE, "p%u", programs[i].id);
        }
        fake_port_say(&f->port, VH_PROGRAMS, 0, &head, sizeof(head), programs, sizeof(programs));
        sent += sizeof(head) + sizeof(programs);
        guest_stage_turn();
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return (end.tv_sec - begin.tv_sec) * G_USEC_PER_SEC + (end.tv_nsec - begin.tv_nsec) / 1000;
}

static gsize allocated(void)
{
    return mallinfo2().uordblks;
}

/* Ever new programs, and no answer: neither what is asked about them grows, nor what a frame of
 * them costs. */
static void test_names_ever_new_programs(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 same = 0, fresh = 0;
    gsize before = 0;

    guest_stage_up(f);
    same = hear_of_programs(f, false);
    g_string_truncate(f->port.heard, 0);
    g_string_truncate(f->changed, 0);
    before = allocated();
    fresh = hear_of_programs(f, true);
    g_assert_cmpuint(allocated(), <, before + (256u << 10));
    g_assert_cmpuint(vh_session_owed(f->guest->session), <=, VH_SESSION_OWED);
    g_assert_cmpuint(f->guest->session->sent.length, <=, VH_SESSION_OWED + VH_PROGRAMS_MAX);
    g_assert_cmpuint(f->guest->session->waiting.length, ==, 0);
    g_test_message("us for %u bytes: %d of the same programs, %d of others", TALK, (int)same,
                   (int)fresh);
    g_assert_cmpint(fresh, <, 4 * same);
    assert_problem(f, "owes");
}

static void test_wrong_version(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_start(f);
    fake_port_hello(&f->port, 77, VH_WIRE_MAX + 1, VH_WIRE_MAX + 1);
    guest_stage_turn();
    g_assert_false(vh_guest_is_connected(f->guest));
    assert_problem(f, "bring the older one up to date");
}

/* QEMU tells of ports that are closed and opened; only ours counts. */
static void test_port_events(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    uint64_t before = 0;

    guest_stage_up(f);
    before = f->port.hello.session;
    fake_monitor_event(&f->monitor, "VSERPORT_CHANGE", "{\"open\": false, \"id\": \"agent\"}");
    guest_stage_turn();
    guest_stage_assert_changed(f, "");
    g_assert_true(vh_guest_is_connected(f->guest));
    fake_monitor_event(&f->monitor, "VSERPORT_CHANGE", "{\"open\": false, \"id\": \"hints\"}");
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest's injector is not connected any longer; ");
    assert_problem(f, "the injector has closed the port");
    fake_port_assert_heard(&f->port, "HELLO ");
    g_assert_cmpuint(f->port.hello.session, !=, before);
    before = f->port.hello.session;
    fake_monitor_event(&f->monitor, "VSERPORT_CHANGE", "{\"open\": false, \"id\": \"hints\"}");
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "HELLO ");
    g_assert_cmpuint(f->port.hello.session, !=, before);
    fake_monitor_event(&f->monitor, "VSERPORT_CHANGE", "{\"open\": true, \"id\": \"hints\"}");
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "HELLO ");
    guest_stage_greet(f);
    g_assert_true(vh_guest_is_settled(f->guest));
    g_string_truncate(f->port.heard, 0);
    fake_monitor_event(&f->monitor, "VSERPORT_CHANGE", "{\"open\": true, \"id\": \"hints\"}");
    guest_stage_turn();
    fake_port_assert_heard(&f->port, "");
}

/* Before QEMU has said which port is ours, or where it has no id, every one might be. */
static void test_port_without_id(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    fake_monitor_reply(&f->monitor, "qom-list /machine/peripheral", "[]");
    guest_stage_up(f);
    assert_problem(f, "has no id");
    fake_monitor_event(&f->monitor, "VSERPORT_CHANGE", "{\"open\": false, \"id\": \"agent\"}");
    guest_stage_turn();
    g_assert_false(vh_guest_is_connected(f->guest));
}

static void test_reset_and_shutdown(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    fake_monitor_heard(&f->monitor, "query-cpus-fast");
    fake_monitor_event(&f->monitor, "RESET", NULL);
    guest_stage_turn();
    guest_stage_assert_changed(f, "the guest's injector is not connected any longer; "
                                  "the guest's vCPUs have changed; ");
    assert_problem(f, "the guest was reset");
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, "query-cpus-fast"), ==, 1);
    guest_stage_assert_vcpus(f, "2: 7 3");
    guest_stage_greet(f);
    g_assert_true(vh_guest_is_settled(f->guest));
    fake_monitor_event(&f->monitor, "SHUTDOWN",
                       "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
    guest_stage_turn();
    assert_problem(f, "the guest has shut down");
}

static void test_no_channel(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_guest_free(f->guest);
    f->config.channel = NULL;
    f->guest = guest_stage_new_guest(f);
    vh_guest_start(f->guest);
    LOOP_UNTIL(f->changed->len);
    assert_problem(f, "it has no channel: give it one with vhintctl enable");
    g_assert_false(vh_guest_is_heavy(f->guest));
}

static void on_ejected(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    *(GAsyncResult **)data = g_object_ref(result);
}

/* Whoever frees a guest is called by it no more, not even by what it was still asked for. */
static void test_free_calls_nobody(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GAsyncResult) result = NULL;
    g_autoptr(GError) error = NULL;
    VhObject *object = fake_object_stranger();
    struct vh_answer answer = {.program = 9};
    GAsyncResult *injected = NULL;

    guest_stage_up(f);
    vh_programs_inject(vh_guest_programs(f->guest), object, g_bytes_new_static("", 0), false,
                       g_task_new(NULL, NULL, on_ejected, &injected));
    guest_stage_turn();
    fake_port_say(&f->port, VH_ANSWER, f->port.last_id, &answer, sizeof(answer), NULL, 0);
    LOOP_UNTIL(injected);
    g_assert_cmpuint(f->injected, ==, 1);
    g_clear_object(&injected);
    vh_programs_eject(vh_guest_programs(f->guest), "stranger",
                      g_task_new(NULL, NULL, on_ejected, &result));
    g_assert_cmpuint(f->injected, ==, 2);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_string_truncate(f->changed, 0);
    vh_guest_free(g_steal_pointer(&f->guest));
    LOOP_UNTIL(result);
    g_assert_cmpint(g_task_propagate_int(G_TASK(result), &error), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpuint(f->injected, ==, 2);
    guest_stage_assert_changed(f, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) \
    g_test_add("/guest/channel/" name, struct guest_stage, NULL, guest_stage_begin, func, \
               guest_stage_end)
    ADD("connect", test_connect);
    ADD("goes-and-comes-back", test_goes_and_comes_back);
    ADD("answer-with-another-id", test_answer_with_another_id);
    ADD("talks-without-end", test_talks_without_end);
    ADD("claims-sessions", test_claims_sessions);
    ADD("names-ever-new-programs", test_names_ever_new_programs);
    ADD("wrong-version", test_wrong_version);
    ADD("port-events", test_port_events);
    ADD("port-without-id", test_port_without_id);
    ADD("reset-and-shutdown", test_reset_and_shutdown);
    ADD("no-channel", test_no_channel);
    ADD("free-calls-nobody", test_free_calls_nobody);
    return g_test_run();
}
