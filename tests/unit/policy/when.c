/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Conditions: what holds for which record, and what is refused with which words. */
#include "policy/when.h"

#include <string.h>

#include "base/error.h"
#include "lib/fake-object.h"

static const struct fake_stranger record = {
    .h = {.size = sizeof(record), .kind = 7, .key_size = 4, .cpu = 3},
    .worker = 0xfffffff0u,
    .home = -1,
    .phase = FAKE_HOT,
    .ready = 1,
    .mood = -5,
    .load = {10, 20, 65535},
    .where = {2, 1ull << 63},
    .low = 5,
    .high = 17,
    .extra = 9,
    .cores = {3, 4},
    .name = "nginx",
};

static void check(VhObject *object, const char *text, bool expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VhWhen) when = vh_when_parse(text, &error);
    struct vh_tests tests;

    g_assert_no_error(error);
    if (vh_when_bind(when, &object->kinds[0], &tests, &error) < 0)
        g_error("%s: %s", text, error->message);
    if (vh_tests_hold(&tests, (const guint8 *)&record) != expected)
        g_error("\"%s\" should be %s", text, expected ? "true" : "false");
}

static void test_values(void)
{
    g_autoptr(VhObject) object = fake_object_stranger();
    static const char *const trues[] = {
        "home == -1",
        "home < 0",
        "home != 1",
        "home <= -1 && home >= -1",
        "worker > 0x7fffffff",
        "worker == 4294967280",
        "phase == FAKE_HOT",
        "phase != FAKE_WARM",
        "ready == true",
        "ready == 1",
        "mood == -5",
        "mood > -128",
        "load[0] == 10",
        "load[2] == 65535 && load[1] < 21",
        "where.node == 2",
        "where.seen & 0x8000000000000000",
        "where.seen == 9223372036854775808",
        "low == 5 && high == 17",
        "low & 4",
        "low !& 2",
        "extra == 9",
        "h.cpu == 3",
        "cores[1] == 4",
        "name == \"nginx\"",
        "name != \"ngin\"",
        "name ~ \"ng*\"",
        "name ~ \"*in?\"",
        "name ~ \"*\"",
        "name[0] == 110",
        "  home==-1&&low==5  ",
    };
    static const char *const falses[] = {
        "home == 0",
        "home > 0",
        "worker < 5",
        "phase == FAKE_COLD",
        "ready == false",
        "mood > 0",
        "load[0] > 10",
        "where.node != 2",
        "where.seen !& 0x8000000000000000",
        "low & 2",
        "low !& 1",
        "name == \"ngin\"",
        "name == \"nginxx\"",
        "name ~ \"nginx?\"",
        "name ~ \"*y*\"",
        "low == 5 && high == 16",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(trues); i++)
        check(object, trues[i], true);
    for (gsize i = 0; i < G_N_ELEMENTS(falses); i++)
        check(object, falses[i], false);
}

static void test_text_fills_array(void)
{
    g_autoptr(VhObject) object = fake_object_stranger();
    g_autoptr(VhWhen) when = vh_when_parse("name == \"12345678\"", NULL);
    g_autoptr(VhWhen) escaped = vh_when_parse("name == \"a\\\"b\\\\\"", NULL);
    struct fake_stranger full = record;
    struct vh_tests tests;

    memcpy(full.name, "12345678", 8);
    g_assert_cmpint(vh_when_bind(when, &object->kinds[0], &tests, NULL), ==, 0);
    g_assert_true(vh_tests_hold(&tests, (const guint8 *)&full));
    memcpy(full.name, "a\"b\\\0\0\0\0", 8);
    g_assert_cmpint(vh_when_bind(escaped, &object->kinds[0], &tests, NULL), ==, 0);
    g_assert_true(vh_tests_hold(&tests, (const guint8 *)&full));
}

/* Each is refused, in parsing or in binding, and the message has the words. */
static void test_refused(void)
{
    g_autoptr(VhObject) object = fake_object_stranger();
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "where a field's name should be"},
        {"home", "where an operator should be"},
        {"home &&", "where an operator should be"},
        {"home = 1", "did you mean \"==\""},
        {"home == ", "where a number"},
        {"home == 1 &&", "where a field's name should be"},
        {"home == 1 || low == 1", "write a second rule"},
        {"home == 1 and low == 1", "where \"&&\" or the end should be"},
        {"home == 12x", "number of at most 64 bits"},
        {"home == 0x", "number of at most 64 bits"},
        {"home == 99999999999999999999", "number of at most 64 bits"},
        {"name == \"abc", "has no end"},
        {"5 == home", "where a field's name should be"},
        {"hmoe == 1", "no field \"hmoe\"; did you mean \"home\"?"},
        {"where.nod == 1", "did you mean \"where.node\"?"},
        {"where == 1", "name a field in it"},
        {"home.x == 1", "no struct"},
        {"load == 1", "name an element, as load[0]"},
        {"load[3] == 1", "3 elements (0-2)"},
        {"load[x] == 1", "named by its number"},
        {"load[-1] == 1", "where an operator"},
        {"home[0] == 1", "no array"},
        {"load[0]x == 1", "where \".\" or \"[\" should be"},
        {".home == 1", "is no field"},
        {"where..node == 1", "is no field"},
        {"ratio == 1", "no number, text or array"},
        {"name < \"a\"", "use ==, != or ~"},
        {"name == 5", "put the value into quotes"},
        {"name == nginx", "put the value into quotes"},
        {"name == \"123456789\"", "has room for 8 characters"},
        {"home == \"1\"", "is no text"},
        {"home ~ \"1\"", "is no text"},
        {"phase == FAKE_HOTT", "did you mean \"FAKE_HOT\"?"},
        {"phase == \"FAKE_HOT\"", "without quotes"},
        {"home == true", "is a number"},
        {"ready == 2", "never 2"},
        {"ready > false", "use == or !="},
        {"ready == yes", "true or false"},
        {"mood == 128", "from -128 to 127"},
        {"mood == -129", "from -128 to 127"},
        {"worker == -1", "never -1"},
        {"worker == 4294967296", "from 0 to 4294967295"},
        {"low == 8", "3 bits"},
        {"a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&&a==1&"
         "&a==1&&a==1",
         "at most 16 comparisons"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VhWhen) when = vh_when_parse(cases[i].text, &error);
        struct vh_tests tests;

        if (when && vh_when_bind(when, &object->kinds[0], &tests, &error) == 0)
            g_error("\"%s\" is taken", cases[i].text);
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
        if (!strstr(error->message, cases[i].words))
            g_error("\"%s\": \"%s\" does not say \"%s\"", cases[i].text, error->message,
                    cases[i].words);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/when/values", test_values);
    g_test_add_func("/when/text", test_text_fills_array);
    g_test_add_func("/when/refused", test_refused);
    return g_test_run();
}
