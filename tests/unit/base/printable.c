/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/base/printable.c and host/base/json-text.c: what is control is shown by neither, whichever
 * library has written the rest. */
#include "base/printable.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "base/json-text.h"

/* Every character there is, by all roads. */
static void test_every_character(void)
{
    g_autoptr(GString) json = g_string_new(NULL);

    for (gunichar c = 1; c <= 0x10ffff; c++) {
        char text[8] = {0};
        g_autofree char *printable = NULL;

        if (c == 0xd800)
            c = 0xe000;
        g_unichar_to_utf8(c, text);
        printable = vh_text_printable(text, false);
        g_string_truncate(json, 0);
        vh_json_append_string(json, text, -1);
        g_assert_cmpuint(json->len, ==, vh_json_size(c) + 2);
        g_assert_cmpint(strstr(printable, text) == NULL, ==, vh_text_is_control(c));
        g_assert_cmpint(strstr(json->str, text) == NULL, ==, vh_text_is_control(c));
    }
}

static void test_what_is_control(void)
{
    static const gunichar control[] = {1,      '\n',   0x1b,   0x7f,   0x80,   0x9b,
                                       0x9f,   0xad,   0x200b, 0x200e, 0x2028, 0x2029,
                                       0x202a, 0x202e, 0x2066, 0x2069, 0xfeff, 0xe0001};
    static const gunichar text[] = {' ', 'a', '"', '\\', 0xa0, 0xe9, 0x20ac, 0x4e2d, 0x1f600};

    for (gsize i = 0; i < G_N_ELEMENTS(control); i++)
        g_assert_true(vh_text_is_control(control[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(text); i++)
        g_assert_false(vh_text_is_control(text[i]));
}

/* Escaped, it is what it was. */
static void test_json(void)
{
    static const char odd[] =
        "a\"\\\n\t\x1b\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\x81\xf0\x9f\x98\x80";
    g_autoptr(GString) json = g_string_new(NULL);
    g_autoptr(JsonNode) node = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *theirs = NULL;
    g_autofree char *escaped = NULL;

    vh_json_append_string(json, odd, -1);
    g_assert_cmpstr(
        json->str, ==,
        "\"a\\\"\\\\\\n\\u0009\\u001b\\u007f\\u009b\\u202e\\udb40\\udc01\xf0\x9f\x98\x80\"");
    node = json_from_string(json->str, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(json_node_get_string(node), ==, odd);
    theirs = json_to_string(node, TRUE);
    escaped = vh_json_escape(theirs);
    g_assert_null(strstr(escaped, "\xc2\x9b"));
    g_assert_null(strstr(escaped, "\xe2\x80\xae"));
    g_assert_nonnull(strstr(escaped, "\\u009b\\u202e\\udb40\\udc01\xf0\x9f\x98\x80"));
    g_clear_pointer(&node, json_node_unref);
    node = json_from_string(escaped, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(json_node_get_string(node), ==, odd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/printable/every-character", test_every_character);
    g_test_add_func("/printable/what-is-control", test_what_is_control);
    g_test_add_func("/printable/json", test_json);
    return g_test_run();
}
