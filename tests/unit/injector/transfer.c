/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/transfer.c: objects in chunks, whole, cut and wrong. */
#include <errno.h>
#include <string.h>

#include "lib/fake-injector.h"

static void test_load(void)
{
    struct fake *fake = fake_up(1000);

    fake_load_good(fake, 1, "a", 0);
    g_assert_cmpmem(fake->object->data, fake->object->len, fake_bytes, sizeof(fake_bytes));
    g_assert_cmpuint(fake->loaded, ==, 1);
    fake_load(fake, 2, "a", 0);
    g_assert_nonnull(strstr(fake_expect_answer(fake, 2, EEXIST), "a:"));
    fake_expect_nothing(fake); /* its chunks were under way already */
    fake_load_good(fake, 3, "a", VH_LOAD_REPLACE);
    g_assert_cmpuint(fake->loaded, ==, 2);
    fake_load_good(fake, 4, "b", VH_LOAD_REPLACE);
    g_assert_cmpuint(fake->loads, ==, 3);
    fake_free(fake);
}

static void test_load_tunables(void)
{
    struct fake *fake = fake_up(1000);
    static const char tunables[] = "x=1\0y=2";
    struct vh_load l = fake_load_of("a", fake_bytes, sizeof(fake_bytes), 0);
    uint8_t payload[sizeof(l) + sizeof(tunables)];

    l.tunables_len = sizeof(tunables);
    memcpy(payload, &l, sizeof(l));
    memcpy(payload + sizeof(l), tunables, sizeof(tunables));
    fake_request(fake, VH_LOAD, 1, payload, sizeof(payload));
    fake_chunk(fake, 1, 0, fake_bytes, sizeof(fake_bytes));
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 1, 0);
    g_assert_cmpmem(fake->tunables, sizeof(tunables), tunables, sizeof(tunables));
    fake_free(fake);
}

static void test_load_refused(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_answer answer;
    const char *text;
    const char *log;

    fake->load_error = -EACCES;
    fake_load(fake, 1, "a", 0);
    g_assert_cmpint(vh_msg_answer(&fake_expect(fake, VH_ANSWER, 1)->frame, &answer, &text, &log),
                    ==, 0);
    g_assert_cmpuint(answer.error, ==, EACCES);
    g_assert_cmpmem(text, answer.text_len, "refused", 7);
    g_assert_cmpuint(answer.log_len, ==, VH_LOG_MAX);
    g_assert_cmpuint(answer.flags, ==, VH_ANSWER_LOG_CUT);
    g_assert_cmpmem(log + answer.log_len - 3, 3, "end", 3);
    g_assert_cmpuint(fake->loaded, ==, 0);
    fake_expect_nothing(fake);
    fake_free(fake);
}

static void test_load_sizes(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_load l = fake_load_of("a", fake_bytes, sizeof(fake_bytes), 0);

    l.size = 0;
    fake_request(fake, VH_LOAD, 1, &l, sizeof(l));
    fake_expect_answer(fake, 1, EFBIG);
    l.size = VH_OBJECT_MAX + 1;
    fake_request(fake, VH_LOAD, 2, &l, sizeof(l));
    g_assert_nonnull(strstr(fake_expect_answer(fake, 2, EFBIG), "16777216"));
    fake_chunk(fake, 2, 0, fake_bytes, 5); /* late, of a LOAD that was answered */
    fake_expect_nothing(fake);
    fake_request(fake, VH_LOAD, 3, &l, sizeof(l) - 1);
    fake_expect_answer(fake, 3, EBADMSG);
    fake_free(fake);
}

static void test_largest_object(void)
{
    struct fake *fake = fake_up(1000);
    g_autofree uint8_t *large = g_malloc(VH_OBJECT_MAX);
    struct vh_load l;

    for (size_t i = 0; i < VH_OBJECT_MAX; i++)
        large[i] = (uint8_t)(i * 2654435761u >> 24);
    l = fake_load_of("large", large, VH_OBJECT_MAX, 0);
    fake_request(fake, VH_LOAD, 1, &l, sizeof(l));
    for (uint32_t at = 0; at < VH_OBJECT_MAX; at += VH_CHUNK_MAX)
        fake_chunk(fake, 1, at, large + at, VH_CHUNK_MAX);
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 1, 0);
    g_assert_cmpmem(fake->object->data, fake->object->len, large, VH_OBJECT_MAX);
    fake_free(fake);
}

static void test_bad_chunks(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_load l = fake_load_of("a", fake_bytes, sizeof(fake_bytes), 0);

    fake_chunk(fake, 9, 0, fake_bytes, 5);
    fake_expect_answer(fake, 9, EPROTO); /* without its LOAD */
    fake_request(fake, VH_LOAD, 1, &l, sizeof(l));
    fake_chunk(fake, 1, 5, fake_bytes, 5);
    g_assert_nonnull(strstr(fake_expect_answer(fake, 1, EPROTO), "offset 5"));
    fake_request(fake, VH_LOAD, 2, &l, sizeof(l));
    fake_chunk(fake, 2, 0, fake_bytes, 10);
    fake_chunk(fake, 2, 0, fake_bytes, 10);
    fake_expect_answer(fake, 2, EPROTO);
    fake_request(fake, VH_LOAD, 3, &l, sizeof(l));
    fake_chunk(fake, 3, 0, fake_bytes, 10);
    fake_chunk(fake, 3, 10, fake_bytes, sizeof(fake_bytes)); /* passes the end */
    fake_expect_answer(fake, 3, EPROTO);
    fake_request(fake, VH_LOAD, 4, &l, sizeof(l));
    fake_request(fake, VH_CHUNK, 4, fake_bytes, 3);
    fake_expect_answer(fake, 4, EBADMSG);
    l.digest[0] ^= 1;
    fake_request(fake, VH_LOAD, 5, &l, sizeof(l));
    fake_chunk(fake, 5, 0, fake_bytes, sizeof(fake_bytes));
    g_assert_nonnull(strstr(fake_expect_answer(fake, 5, EBADMSG), "SHA-256"));
    g_assert_cmpuint(fake->loads, ==, 0);
    fake_load_good(fake, 6, "a", 0);
    fake_free(fake);
}

static void test_load_given_up(void)
{
    struct fake *fake = fake_up(1000);

    fake_load_first(fake, 1, "a", 0);
    fake_load(fake, 2, "b", 0);
    fake_expect_answer(fake, 1, ECANCELED);
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, 2, 0);
    g_assert_cmpuint(fake->loads, ==, 1);
    fake_free(fake);
}

static void test_truncated_by_disconnect(void)
{
    struct fake *fake = fake_up(1000);

    fake_load_first(fake, 1, "a", 0);
    vh_session_close(&fake->session);
    vh_session_open(&fake->session, GUEST);
    fake_expect_hello(fake, 0);
    fake_hello(fake, HOST + 1, GUEST, 1, 1000);
    fake_expect_greeting(fake, HOST + 1);
    fake_load_rest(fake, 1);
    fake_expect_answer(fake, 1, EPROTO);
    g_assert_cmpuint(fake->loads, ==, 0);
    fake_free(fake);
}

static void test_too_many(void)
{
    struct fake *fake = fake_up(1000);

    for (uint32_t i = 0; i < VH_PROGRAMS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);

        fake_load_good(fake, 1 + i, name, 0);
    }
    fake_load(fake, 100, "more", VH_LOAD_REPLACE);
    fake_expect_answer(fake, 100, ENOSPC);
    fake_load_good(fake, 101, "p3", VH_LOAD_REPLACE);
    fake_free(fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/transfer/load", test_load);
    g_test_add_func("/transfer/load-tunables", test_load_tunables);
    g_test_add_func("/transfer/load-refused", test_load_refused);
    g_test_add_func("/transfer/load-sizes", test_load_sizes);
    g_test_add_func("/transfer/largest-object", test_largest_object);
    g_test_add_func("/transfer/bad-chunks", test_bad_chunks);
    g_test_add_func("/transfer/load-given-up", test_load_given_up);
    g_test_add_func("/transfer/truncated-by-disconnect", test_truncated_by_disconnect);
    g_test_add_func("/transfer/too-many", test_too_many);
    return g_test_run();
}
