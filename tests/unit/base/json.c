/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/base/json.c: each reader against each type, and texts that json-glib would take or die of.
 */
#include "base/json.h"

#include <string.h>

#include "base/error.h"

static JsonNode *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonNode *node = vh_json_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return node;
}

#define ALL \
    "{\"text\":\"x\",\"int\":7,\"double\":1.5,\"true\":true,\"null\":null,\"array\":[1,\"a\"]," \
    "\"object\":{}}"

/* Which reader takes which member: each takes its own type alone. */
static void test_types(void)
{
    static const struct {
        const char *name;
        bool text, whole, truth, number, array, object, null, scalar;
    } rows[] = {
        {"text", .text = true, .scalar = true},
        {"int", .whole = true, .number = true, .scalar = true},
        {"double", .number = true, .scalar = true},
        {"true", .truth = true, .scalar = true},
        {"null", .null = true},
        {"array", .array = true},
        {"object", .object = true},
        {"missing", .text = false},
    };
    g_autoptr(JsonNode) root = parse(ALL);
    JsonObject *object = vh_json_object(root);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        JsonNode *node = vh_json_member(object, rows[i].name);
        gint64 whole = -5;
        bool truth = false;
        double number = 0;

        g_test_message("%s", rows[i].name);
        g_assert_cmpint(vh_json_text(node) != NULL, ==, rows[i].text);
        g_assert_cmpint(vh_json_int(node, 0, 10, &whole), ==, rows[i].whole);
        g_assert_cmpint(whole, ==, rows[i].whole ? 7 : -5);
        g_assert_cmpint(vh_json_bool(node, &truth), ==, rows[i].truth);
        g_assert_cmpint(truth, ==, rows[i].truth);
        g_assert_cmpint(vh_json_number(node, &number), ==, rows[i].number);
        g_assert_cmpint(vh_json_array(node) != NULL, ==, rows[i].array);
        g_assert_cmpint(vh_json_object(node) != NULL, ==, rows[i].object);
        g_assert_cmpint(vh_json_is_null(node), ==, rows[i].null);
        g_assert_cmpint(vh_json_is_scalar(node), ==, rows[i].scalar);
        g_assert_cmpint(vh_json_member_object(object, rows[i].name) != NULL, ==, rows[i].object);
        g_assert_cmpint(vh_json_member_array(object, rows[i].name) != NULL, ==, rows[i].array);
        g_assert_cmpstr(vh_json_member_text(object, rows[i].name, "-"), ==,
                        rows[i].text ? "x" : "-");
        g_assert_cmpint(vh_json_member_int(object, rows[i].name, 0, 10, -1), ==,
                        rows[i].whole ? 7 : -1);
        g_assert_cmpint(vh_json_member_bool(object, rows[i].name, false), ==, rows[i].truth);
    }
}

static void test_ranges(void)
{
    g_autoptr(JsonNode) root =
        parse("{\"n\":4294967301,\"huge\":18446744073709551615,\"inf\":1.5e400}");
    JsonObject *object = vh_json_object(root);
    double number = 3;

    g_assert_cmpint(vh_json_member_int(object, "n", 0, G_MAXINT64, -1), ==, 4294967301);
    g_assert_cmpint(vh_json_member_int(object, "n", 4294967301, 4294967301, -1), ==, 4294967301);
    g_assert_cmpint(vh_json_member_int(object, "n", 0, G_MAXINT32, -1), ==, -1);
    g_assert_cmpint(vh_json_member_int(object, "n", 4294967302, G_MAXINT64, -1), ==, -1);
    g_assert_cmpint(vh_json_member_int(object, "huge", 0, G_MAXINT64, -2), ==, -2);
    g_assert_false(vh_json_number(vh_json_member(object, "inf"), &number));
    g_assert_cmpfloat(number, ==, 3);
}

static void test_arrays(void)
{
    g_autoptr(JsonNode) root = parse(ALL);
    JsonArray *array = vh_json_member_array(vh_json_object(root), "array");

    g_assert_cmpuint(vh_json_length(array), ==, 2);
    g_assert_cmpstr(vh_json_text(vh_json_element(array, 1)), ==, "a");
    g_assert_null(vh_json_text(vh_json_element(array, 0)));
    g_assert_null(vh_json_element(array, 2));
}

static void test_nothing(void)
{
    gint64 whole = 0;
    bool truth = false;
    double number = 0;

    g_assert_null(vh_json_object(NULL));
    g_assert_null(vh_json_array(NULL));
    g_assert_null(vh_json_text(NULL));
    g_assert_false(vh_json_int(NULL, 0, 1, &whole));
    g_assert_false(vh_json_bool(NULL, &truth));
    g_assert_false(vh_json_number(NULL, &number));
    g_assert_false(vh_json_is_null(NULL));
    g_assert_false(vh_json_is_scalar(NULL));
    g_assert_null(vh_json_member(NULL, "x"));
    g_assert_cmpstr(vh_json_member_text(NULL, "x", "-"), ==, "-");
    g_assert_cmpuint(vh_json_length(NULL), ==, 0);
    g_assert_null(vh_json_element(NULL, 0));
}

/* What json-glib reads though it is no JSON, and what is none for it either. */
static void test_refused(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{/* \" */\"a\":1}", "is no JSON: byte 2 (0x2f) has no meaning there"},
        {"{'a':1}", "is no JSON: byte 2 (0x27) has no meaning there"},
        {"var x = {\"a\":1};", "is no JSON: byte 1 (0x76) has no meaning there"},
        {"{\"a\":0x10}", "is no JSON: byte 7 (0x78) has no meaning there"},
        {"{\"a\":1", "is no JSON: "},
        {"{\"a\":}", "is no JSON: "},
        {"{\"a\":tRue}", "is no JSON: byte 7 (0x52) has no meaning there"},
        {"{\"a\":\"\xff\"}", "is not UTF-8"},
        {"[1]", "is no JSON object"},
        {"7", "is no JSON object"},
        {"", "is no JSON object"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", rows[i].text);
        g_assert_null(vh_json_parse(rows[i].text, strlen(rows[i].text), &error));
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
        if (!g_str_has_prefix(error->message, rows[i].message))
            g_error("%s", error->message);
    }
}

/* A text that would end a reader that calls itself, the brackets in sight or behind what could hide
 * them. */
static void test_depth(void)
{
    static const char *const begins[] = {
        "{\"a\":", "{\"a\\\"\":", "{/*\"*/\"a\":", "{'\"':", "{\"a\":\"[\\\\\",\"b\":"};
    g_autofree char *brackets = g_strnfill(1000000, '[');

    for (guint i = 0; i < G_N_ELEMENTS(begins); i++) {
        g_autofree char *text = g_strconcat(begins[i], brackets, NULL);

        g_assert_null(vh_json_parse(text, strlen(text), NULL));
    }
}

/* Brackets in text are text, and as many levels as are allowed are read. */
static void test_deep_enough(void)
{
    g_autofree char *open = g_strnfill(VH_JSON_DEPTH_MAX - 1, '[');
    g_autofree char *shut = g_strnfill(VH_JSON_DEPTH_MAX - 1, ']');
    g_autofree char *text = g_strdup_printf("{\"a\":%s%s}", open, shut);
    g_autofree char *deeper = g_strdup_printf("{\"a\":[%s%s]}", open, shut);
    g_autofree char *quoted = g_strdup_printf("{\"a\":\"{%s\\\"[\"}", open);
    g_autoptr(JsonNode) first = parse(text);
    g_autoptr(JsonNode) second = parse(quoted);
    g_autoptr(GError) error = NULL;

    g_assert_true(g_str_has_suffix(vh_json_member_text(vh_json_object(second), "a", ""), "[\"["));
    g_assert_null(vh_json_parse(deeper, strlen(deeper), &error));
    g_assert_cmpstr(error->message, ==, "nests deeper than 32 levels");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/types", test_types);
    g_test_add_func("/json/ranges", test_ranges);
    g_test_add_func("/json/arrays", test_arrays);
    g_test_add_func("/json/nothing", test_nothing);
    g_test_add_func("/json/refused", test_refused);
    g_test_add_func("/json/depth", test_depth);
    g_test_add_func("/json/deep-enough", test_deep_enough);
    return g_test_run();
}
