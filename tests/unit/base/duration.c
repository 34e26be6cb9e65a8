/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Durations, read and written. */
#include "base/duration.h"

#include <string.h>

static void test_both_ways(void)
{
    static const struct {
        const char *text;
        gint64 us;
    } cases[] = {{"0", 0},          {"1us", 1},         {"250ms", 250000},          {"2s", 2000000},
                 {"5m", 300000000}, {"1h", 3600000000}, {"24h", VH_DURATION_MAX_US}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = vh_duration_text(cases[i].us);
        gint64 us = -1;

        g_assert_cmpint(vh_duration_parse(cases[i].text, &us, NULL), ==, 0);
        g_assert_cmpint(us, ==, cases[i].us);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void test_bad(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {{"", "no duration"},        {"soon", "no duration"},
                 {"-1s", "no duration"},     {"5", "no unit"},
                 {"5 s", "an unknown unit"}, {"1d", "an unknown unit"},
                 {"25h", "longer than 24h"}, {"99999999999999999999s", "longer than 24h"}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        gint64 us = 77;

        g_assert_cmpint(vh_duration_parse(cases[i].text, &us, &error), ==, -1);
        g_assert_nonnull(strstr(error->message, cases[i].words));
        g_assert_cmpint(us, ==, 77);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/duration/both-ways", test_both_ways);
    g_test_add_func("/duration/bad", test_bad);
    return g_test_run();
}
