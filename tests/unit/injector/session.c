/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/session.c: the greeting, frames of every kind and none, credit both ways. */
#include <errno.h>
#include <string.h>

#include "lib/fake-injector.h"

static void test_greeting(void)
{
    struct fake *fake = fake_up(1000);

    g_assert_cmpuint(fake->opened, ==, 1);
    fake_hello(fake, HOST, GUEST, 1, 1000); /* confirms, nothing more */
    fake_expect_nothing(fake);
    g_assert_cmpuint(fake->opened, ==, 1);
    fake_hello(fake, HOST + 1, 0, 1, 1000); /* a host that has restarted */
    fake_expect_greeting(fake, HOST + 1);
    g_assert_cmpuint(fake->opened, ==, 2);
    fake_free(fake);
}

static void test_wrong_version(void)
{
    struct fake *fake = fake_up(1000);

    fake_hello(fake, HOST + 1, GUEST, 9, 1000);
    fake_expect_hello(
        fake, HOST + 1); /* knows the host's session, so that the two do not greet for ever */
    fake_expect_nothing(fake);
    fake_request(fake, VH_LIST, 1, NULL, 0);
    fake_expect_nothing(fake);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 0);
    fake_hello(fake, HOST + 2, GUEST, 1, 1000);
    fake_expect_greeting(fake, HOST + 2);
    fake_send(fake, VH_LIST, 2, 1, NULL, 0, SIZE_MAX); /* a frame of another version */
    fake_expect_nothing(fake);
    fake_free(fake);
}

static void test_before_the_greeting(void)
{
    struct fake *fake = fake_new();

    vh_session_open(&fake->session, GUEST);
    fake_expect_hello(fake, 0);
    fake_request(fake, VH_LIST, 1, NULL, 0);
    fake_load(fake, 2, "a", 0);
    fake_expect_nothing(fake);
    vh_session_send_cpus(&fake->session);
    vh_session_send_programs(&fake->session);
    fake_expect_nothing(fake);
    g_assert_cmpuint(fake->loads, ==, 0);
    fake_free(fake);
}

static void test_list_and_ping(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_ping ping = {.host_ns = 7};
    struct vh_pong pong;

    fake_request(fake, VH_LIST, 3, NULL, 0);
    fake_expect(fake, VH_CPUS, 0);
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 3, 0);
    fake_request(fake, VH_PING, 0, &ping, sizeof(ping));
    g_assert_cmpint(vh_msg_pong(&fake_expect(fake, VH_PONG, 0)->frame, &pong), ==, 0);
    g_assert_cmpuint(pong.host_ns, ==, 7);
    g_assert_cmpuint(pong.guest_ns, ==, 99);
    fake_free(fake);
}

static void test_unload(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_unload unload = {.name = "a"};

    fake_load_good(fake, 1, "a", 0);
    fake_request(fake, VH_UNLOAD, 2, &unload, sizeof(unload));
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 2, 0);
    fake_request(fake, VH_UNLOAD, 4, &unload, 3);
    fake_expect_answer(fake, 4, EBADMSG);
    fake_free(fake);
}

/* Bytes of every size, rubbish, halves of frames: the next good frame is understood. */
static void test_rubbish(void)
{
    struct fake *fake = fake_up(1000);
    uint8_t rubbish[3000];
    uint8_t wire[64];
    long size = vh_frame_encode(wire, sizeof(wire), VH_LIST, 1, 5, NULL, 0);

    for (size_t i = 0; i < sizeof(rubbish); i++)
        rubbish[i] = (uint8_t)(i * i >> 3);
    for (size_t piece = 1; piece < 9; piece++) {
        fake_feed(fake, rubbish, sizeof(rubbish), piece);
        fake_feed(fake, wire, (size_t)size / 2, piece); /* died in the middle */
        fake_feed(fake, (const uint8_t *)"", 1, 1);
        fake_send(fake, VH_LIST, 1, 6, NULL, 0, piece);
        fake_expect(fake, VH_CPUS, 0);
        fake_expect(fake, VH_PROGRAMS, 0);
        fake_expect_answer(fake, 6, 0);
        fake_expect_nothing(fake);
    }
    fake_request(fake, (enum vh_type)200, 7, NULL, 0);
    fake_request(fake, VH_HINTS, 7, rubbish, 40); /* the wrong way round */
    fake_expect_nothing(fake);
    fake_free(fake);
}

static void test_hints_and_credit(void)
{
    struct fake *fake = fake_up(100);
    uint8_t record[32] = {28, 0, 1, 0, 4, 0};
    struct vh_batch batch = {.program = 1, .count = 1};
    struct vh_credit credit = {.bytes = 32};

    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 100 - sizeof(batch));
    vh_session_hints(&fake->session, &batch, record, sizeof(record));
    fake_expect(fake, VH_HINTS, 0);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 36 - sizeof(batch));
    vh_session_hints(&fake->session, &batch, NULL, 0);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 0);
    fake_request(fake, VH_CREDIT, 0, &credit, sizeof(credit));
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 36 - sizeof(batch));
    vh_session_close(&fake->session);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), ==, 0);
    fake_free(fake);
}

/* A host that asks without reading: what is asked beyond the bound waits, nothing is answered twice
 * or lost. */
static void test_answers_not_read(void)
{
    struct fake *fake = fake_up(1000);
    uint8_t wire[64];
    size_t size = (size_t)vh_frame_encode(wire, sizeof(wire), VH_LIST, 1, 5, NULL, 0);
    g_autofree uint8_t *asked = g_malloc(size * 20000);
    size_t answers = 0;
    size_t taken = 0;
    size_t waiting;
    struct got got;

    for (size_t i = 0; i < 20000; i++)
        memcpy(asked + size * i, wire, size);
    while (taken < size * 20000) {
        size_t now = vh_session_input(&fake->session, asked + taken, size * 20000 - taken);

        vh_out_waiting(&fake->session.out, &waiting);
        g_assert_cmpuint(waiting, <, VH_OUT_FULL + 8192);
        g_assert_true(now > 0 || waiting > VH_OUT_FULL);
        taken += now;
        while (fake_next(fake, &got))
            answers += got.frame.type == VH_ANSWER;
    }
    g_assert_cmpuint(answers, ==, 20000);
    fake_free(fake);
}

/* A load that takes its time: everything else goes on, and its answer comes to who has asked. */
static void test_slow_load(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_batch batch = {.program = 1, .count = 0};

    fake_load_good(fake, 1, "a", 0);
    fake->slow = true;
    fake_load(fake, 2, "b", 0);
    fake_expect_nothing(fake);
    fake_request(fake, VH_LIST, 3, NULL, 0);
    fake_expect(fake, VH_CPUS, 0);
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 3, 0);
    g_assert_cmpuint(vh_session_room(&fake->session, 1), >, 0);
    vh_session_hints(&fake->session, &batch, NULL, 0);
    fake_expect(fake, VH_HINTS, 0);
    fake_finish_load(fake);
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 2, 0);
    g_assert_cmpuint(fake->loaded, ==, 2);
    fake_free(fake);
}

/* Whoever has asked is gone: nobody is answered, least of all a later session's request of that
 * number, even where the host begins anew under its old one. */
static void test_answers_of_another_session(void)
{
    for (uint64_t host = HOST; host < HOST + 2; host++) {
        struct fake *fake = fake_up(1000);
        struct vh_resync resync = {.program = 1};

        fake_load_good(fake, 1, "a", 0);
        fake->slow = true;
        fake_request(fake, VH_RESYNC, 2, &resync, sizeof(resync));
        fake_load(fake, 3, "b", 0);
        fake_hello(fake, host, 0, 1, 1000);
        fake_expect_greeting(fake, host);
        fake_finish_load(fake);
        fake_finish_facts(fake, fake->asked[0].ticket, 1);
        fake_expect_nothing(fake);
        fake_request(fake, VH_RESYNC, 2, &resync, sizeof(resync));
        fake_finish_facts(fake, fake->asked[0].ticket, 1); /* the old session's */
        fake_expect_nothing(fake);
        fake_finish_facts(fake, fake->asked[1].ticket, 1);
        fake_expect(fake, VH_SNAPSHOT, 2);
        fake_expect_answer(fake, 2, 0);
        fake_free(fake);
    }
}

static void expect_trouble(struct fake *fake, uint32_t program, const char *text)
{
    struct got *got = fake_expect(fake, VH_TROUBLE, 0);
    struct vh_trouble trouble;
    const char *said;

    g_assert_cmpint(vh_msg_trouble(&got->frame, &trouble, &said), ==, 0);
    g_assert_cmpuint(trouble.program, ==, program);
    g_assert_cmpmem(said, trouble.text_len, text, strlen(text));
}

static void test_trouble(void)
{
    struct fake *fake = fake_up(1000);

    fake_load_good(fake, 1, "a", 0);
    fake_load_good(fake, 2, "b", 0);
    fake->trouble = "it loops";
    fake->troubled = 2;
    vh_session_send_trouble(&fake->session, 2);
    expect_trouble(fake, 2, "it loops");
    fake_hello(fake, HOST + 1, 0, 1, 1000); /* a later host is told as well */
    fake_expect_greeting(fake, HOST + 1);
    expect_trouble(fake, 2, "it loops");
    fake->trouble = NULL;
    vh_session_send_trouble(&fake->session, 2);
    expect_trouble(fake, 2, "");
    vh_session_close(&fake->session);
    vh_session_send_trouble(&fake->session, 2);
    fake_expect_nothing(fake);
    fake_free(fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/greeting", test_greeting);
    g_test_add_func("/session/wrong-version", test_wrong_version);
    g_test_add_func("/session/before-the-greeting", test_before_the_greeting);
    g_test_add_func("/session/list-and-ping", test_list_and_ping);
    g_test_add_func("/session/unload", test_unload);
    g_test_add_func("/session/rubbish", test_rubbish);
    g_test_add_func("/session/hints-and-credit", test_hints_and_credit);
    g_test_add_func("/session/answers-not-read", test_answers_not_read);
    g_test_add_func("/session/slow-load", test_slow_load);
    g_test_add_func("/session/answers-of-another-session", test_answers_of_another_session);
    g_test_add_func("/session/trouble", test_trouble);
    return g_test_run();
}
