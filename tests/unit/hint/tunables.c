/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which tunables a program has, and how they are packed. */
#include "hint/tunables.h"

#include <string.h>

#include "base/error.h"
#include "lib/fake-object.h"

/* Constants only, and none of the contract's own. */
static void test_names(void)
{
    g_autoptr(VhObject) stranger = fake_object_stranger();
    g_autoptr(VhObject) affinity = fake_object_affinity();
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(vh_tunables_check(stranger, "threshold", "1", NULL), ==, 0);
    g_assert_cmpint(vh_tunables_check(stranger, "label", "web", NULL), ==, 0);
    g_assert_cmpint(vh_tunables_check(stranger, "counter", "1", NULL), ==, -1);
    g_assert_cmpint(vh_tunables_check(stranger, "", "1", NULL), ==, -1);
    g_assert_cmpint(vh_tunables_check(affinity, "pid", "1", NULL), ==, -1);
    g_assert_cmpint(vh_tunables_check(stranger, "vh_injector", "1", &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "(it has threshold, label)"));
}

/* What the guest's injector would refuse is refused here, in the same words. */
static void test_values(void)
{
    static const struct {
        const char *name, *value, *wanted; /* NULL: it is one */
    } cases[] = {{"threshold", "0", NULL},
                 {"threshold", "0xffffffff", NULL},
                 {"threshold", "4294967296", "a whole number from 0 to 4294967295"},
                 {"threshold", "-1", "a whole number from 0 to 4294967295"},
                 {"threshold", "many", "a whole number from 0 to 4294967295"},
                 {"threshold", "5s", "a whole number from 0 to 4294967295"},
                 {"threshold", "", "a whole number from 0 to 4294967295"},
                 {"label", "", NULL},
                 {"label", "1234567", NULL},
                 {"label", "12345678", "a text of at most 7 bytes"}};
    g_autoptr(VhObject) stranger = fake_object_stranger();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        int result = vh_tunables_check(stranger, cases[i].name, cases[i].value, &error);

        g_assert_cmpint(result, ==, cases[i].wanted ? -1 : 0);
        g_assert_true(!cases[i].wanted || strstr(error->message, cases[i].wanted));
    }
}

static void pack(GByteArray *packed, const char *name, const char *value)
{
    g_autoptr(GBytes) bytes = NULL;

    g_assert_cmpint(vh_tunables_pack(packed, name, value, NULL), ==, 0);
    bytes = vh_tunables_bytes(packed);
    g_assert_true(vh_tunables_good(bytes));
}

/* A name is there once, whatever others look like. */
static void test_pack(void)
{
    g_autoptr(GByteArray) packed = g_byte_array_new();

    pack(packed, "a", "1");
    pack(packed, "ab", "a=2");
    pack(packed, "a", "345");
    pack(packed, "b", "");
    pack(packed, "ab", "6");
    g_assert_cmpmem(packed->data, packed->len, "a=345\0b=\0ab=6", 14);
}

/* What does not fit leaves what was there. */
static void test_limits(void)
{
    g_autoptr(GByteArray) packed = g_byte_array_new();
    g_autofree char *most = g_strnfill(VH_TUNABLES_MAX - 3, 'x');
    g_autofree char *more = g_strnfill(VH_TUNABLES_MAX - 2, 'x');
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(vh_tunables_pack(packed, "", "1", NULL), ==, -1);
    g_assert_cmpint(vh_tunables_pack(packed, "a=b", "1", NULL), ==, -1);
    g_assert_cmpint(vh_tunables_pack(packed, "a", more, NULL), ==, -1);
    g_assert_cmpuint(packed->len, ==, 0);
    pack(packed, "a", most);
    g_assert_cmpint(vh_tunables_pack(packed, "b", "1", &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "16388 bytes, the limit is 16384"));
    g_assert_cmpuint(packed->len, ==, VH_TUNABLES_MAX);
    pack(packed, "a", "1");
    pack(packed, "b", "1");
    g_assert_cmpmem(packed->data, packed->len, "a=1\0b=1", 8);
}

static void test_good(void)
{
    static const struct {
        const char *data;
        gsize len;
        bool good;
    } cases[] = {{"", 0, true},        {"a=1", 4, true},      {"a=", 3, true},
                 {"a=1", 3, false},    {"a", 2, false},       {"=1", 3, false},
                 {"a=1\0b", 6, false}, {"a=1\0b=2", 8, true}, {"", 1, false}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GBytes) bytes = g_bytes_new_static(cases[i].data, cases[i].len);

        g_assert_true(vh_tunables_good(bytes) == cases[i].good);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tunables/names", test_names);
    g_test_add_func("/tunables/values", test_values);
    g_test_add_func("/tunables/pack", test_pack);
    g_test_add_func("/tunables/limits", test_limits);
    g_test_add_func("/tunables/good", test_good);
    return g_test_run();
}
