/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/describe.c: what is told of a guest, its programs and its facts, and to watchers. */
#include <string.h>

#include "lib/guest-stage.h"

static void test_guest(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_guest_figures figures;

    guest_stage_assert_told(f, "name", "web");
    guest_stage_assert_told(f, "title", "Web server");
    guest_stage_assert_told(f, "profile", "gold");
    guest_stage_assert_told(f, "connected", "false");
    guest_stage_assert_told(f, "programs", "1");
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 2, 1 << 0);
    guest_stage_tasks(f, 20, 1, 1 << 5);
    f->seq += 2;
    guest_stage_tasks(f, 10, 1, 0);
    guest_stage_snapshot(f, 11, 1 << 0);
    f->lost = 7;
    guest_stage_tasks(f, 12, 1, 1 << 0);
    guest_stage_assert_told(f, "connected", "true");
    guest_stage_assert_told(f, "vcpus", "2");
    guest_stage_assert_told(f, "facts", "2");
    guest_stage_assert_told(f, "hints", "5");
    guest_stage_assert_told(f, "lost", "7");
    guest_stage_assert_told(f, "refused", "1");
    guest_stage_assert_told(f, "problem", "");
    vh_guest_figures(f->guest, &figures);
    g_assert_cmpstr(figures.name, ==, "web");
    g_assert_true(figures.connected);
    g_assert_cmpuint(figures.vcpus, ==, 2);
    g_assert_cmpuint(figures.facts, ==, 2);
    g_assert_cmpuint(figures.hints, ==, 5);
    g_assert_cmpuint(figures.lost, ==, 7);
    g_assert_cmpuint(figures.refused, ==, 1);
    g_assert_cmpuint(figures.gaps, ==, 2);
}

/* Whatever a guest calls itself, what is told is UTF-8. */
static void test_guest_text(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                             .version_min = VH_WIRE_MIN,
                             .version_max = VH_WIRE_MAX,
                             .session = 5,
                             .role = VH_ROLE_GUEST,
                             .release = "6.1\xff",
                             .agent = "\xc3"};

    guest_stage_start(f);
    hello.peer = f->port.hello.session;
    fake_port_say(&f->port, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
    guest_stage_turn();
    guest_stage_assert_told(f, "release", "6.1\xef\xbf\xbd");
    guest_stage_assert_told(f, "injector", "\xef\xbf\xbd");
}

/* One word of ListPrograms of the only program. */
static char *told_of_program(const struct guest_stage *f, const char *key)
{
    g_autoptr(GVariant) list = g_variant_ref_sink(vh_guest_describe_programs(f->guest));
    g_autoptr(GVariant) first = NULL;
    g_autoptr(GVariant) value = NULL;

    g_assert_cmpuint(g_variant_n_children(list), ==, 1);
    first = g_variant_get_child_value(list, 0);
    value = g_variant_lookup_value(first, key, NULL);
    g_assert_nonnull(value);
    return g_variant_print(value, FALSE);
}

static void assert_program(const struct guest_stage *f, const char *key, const char *expected)
{
    g_autofree char *got = told_of_program(f, key);

    g_assert_cmpstr(got, ==, expected);
}

static void test_program(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    const struct vh_answer refusal = {.error = 22, .text_len = 2, .log_len = 3};

    assert_program(f, "name", "'affinity'");
    assert_program(f, "state", "'wanted'");
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 3, 1 << 0);
    assert_program(f, "state", "'running'");
    assert_program(f, "origin", "'policy'");
    assert_program(f, "attached", "2");
    assert_program(f, "hints", "3");
    assert_program(f, "facts", "3");
    fake_port_programs(&f->port, 0, "", (const uint8_t[VH_DIGEST_SIZE]){0}, 0);
    guest_stage_turn();
    assert_program(f, "state", "'loading'");
    assert_program(f, "facts", "0");
    fake_port_say(&f->port, VH_ANSWER, f->port.last_id, &refusal, sizeof(refusal), "nolog", 5);
    guest_stage_turn();
    assert_program(f, "state", "'refused'");
    assert_program(f, "problem", "'no\\nlibbpf said:\\nlog'");
}

static void test_facts(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_auto(GStrv) facts = NULL;

    guest_stage_up(f);
    guest_stage_tasks(f, 11, 1, 1 << 0);
    guest_stage_tasks(f, 10, 1, 1 << 1);
    facts = vh_guest_describe_facts(f->guest);
    g_assert_cmpuint(g_strv_length(facts), ==, 2);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_nonnull(strstr(facts[i], "\"web\""));
        g_assert_nonnull(strstr(facts[i], "\"worker\""));
    }
    g_assert_nonnull(strstr(facts[0], "\"pid\":10"));
    g_assert_nonnull(strstr(facts[1], "\"pid\":11"));
}

/* The facts that ask for something for one vCPU. */
static void test_behind(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    g_auto(GStrv) facts = NULL;
    g_auto(GStrv) none = NULL;
    unsigned count = 0;

    guest_stage_up(f);
    guest_stage_tasks(f, 10, 3, 1 << 0);
    guest_stage_tasks(f, 20, 1, 1 << 1);
    facts = vh_guest_describe_behind(f->guest, 1, "pin", 2, &count);
    g_assert_cmpuint(count, ==, 3);
    g_assert_cmpuint(g_strv_length(facts), ==, 2);
    g_assert_nonnull(strstr(facts[0], "\"pid\":10"));
    none = vh_guest_describe_behind(f->guest, 1, "boost", 2, &count);
    g_assert_cmpuint(count, ==, 0);
    g_assert_null(none[0]);
}

/* Hints become text only while somebody watches. */
static void test_watch(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    guest_stage_tasks(f, 10, 1, 1 << 0);
    g_assert_cmpstr(f->lines->str, ==, "");
    f->watched = true;
    guest_stage_tasks(f, 11, 2, 1 << 0);
    g_assert_nonnull(strstr(f->lines->str, "\"pid\":11"));
    g_assert_nonnull(strstr(f->lines->str, "\"pid\":12"));
    g_assert_nonnull(strstr(f->lines->str, "\"seq\":1"));
    g_assert_nonnull(strstr(f->lines->str, "\"seq\":2"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) \
    g_test_add("/guest/describe/" name, struct guest_stage, NULL, guest_stage_begin, func, \
               guest_stage_end)
    ADD("guest", test_guest);
    ADD("guest-text", test_guest_text);
    ADD("program", test_program);
    ADD("facts", test_facts);
    ADD("behind", test_behind);
    ADD("watch", test_watch);
    return g_test_run();
}
