/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/base/cpuset.c: the list format both ways, and every way to get it wrong. */
#include "base/cpuset.h"

#include "base/error.h"

static void test_round_trip(void)
{
    static const char *const lists[] = {"", "0", "0-1", "0,2", "0-3,8", "63-64", "1-3,5,4000-4095"};

    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        struct vh_cpuset set;
        g_autofree char *text = NULL;

        g_assert_cmpint(vh_cpuset_parse(&set, lists[i], NULL), ==, 0);
        text = vh_cpuset_format(&set);
        g_assert_cmpstr(text, ==, lists[i]);
    }
}

static void test_written_otherwise(void)
{
    struct vh_cpuset set;
    g_autofree char *text = NULL;

    g_assert_cmpint(vh_cpuset_parse(&set, " 3,1-2,2\n", NULL), ==, 0);
    text = vh_cpuset_format(&set);
    g_assert_cmpstr(text, ==, "1-3");
    g_assert_cmpuint(vh_cpuset_count(&set), ==, 3);
    g_assert_cmpint(vh_cpuset_next(&set, 0), ==, 1);
    g_assert_cmpint(vh_cpuset_next(&set, 4), ==, -1);
}

static void test_refused(void)
{
    static const char *const lists[] = {"a",     "1-",   "-1",     "2-1",
                                        "1,",    ",1",   "1,,2",   "1 2",
                                        "1-2-3", "4096", "0-4096", "99999999999999999999"};

    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        struct vh_cpuset set = {{42}};
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(vh_cpuset_parse(&set, lists[i], &error), ==, -1);
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
        g_assert_cmpuint(set.words[0], ==, 42);
    }
}

static void test_sets(void)
{
    struct vh_cpuset a, b;

    g_assert_cmpint(vh_cpuset_parse(&a, "0-3,100", NULL), ==, 0);
    g_assert_cmpint(vh_cpuset_parse(&b, "2-5,100", NULL), ==, 0);
    vh_cpuset_and(&a, &b);
    g_assert_cmpuint(vh_cpuset_count(&a), ==, 3);
    vh_cpuset_or(&a, &b);
    g_assert_true(vh_cpuset_equal(&a, &b));
    vh_cpuset_sub(&a, &b);
    g_assert_true(vh_cpuset_empty(&a));
    vh_cpuset_add(&a, VH_HOST_CPUS_MAX);
    g_assert_true(vh_cpuset_empty(&a));
    g_assert_false(vh_cpuset_has(&b, VH_HOST_CPUS_MAX + 2));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpuset/round-trip", test_round_trip);
    g_test_add_func("/cpuset/written-otherwise", test_written_otherwise);
    g_test_add_func("/cpuset/refused", test_refused);
    g_test_add_func("/cpuset/sets", test_sets);
    return g_test_run();
}
