/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/metrics/figures.c and base/loopback.c: the text that Prometheus reads, and whom it may be
 * shown to. */
#include "metrics/figures.h"

#include <string.h>

#include "base/loopback.h"

static void test_text(void)
{
    g_autofree struct vh_figures *figures =
        g_malloc0(sizeof(*figures) + 2 * sizeof(figures->each[0]));
    g_autofree char *text = NULL;

    figures->guests = 3;
    figures->connected = 2;
    figures->round_us = 12000034;
    figures->plans = 7;
    figures->plan_ns = 3000000056;
    figures->count = 2;
    figures->each[0] =
        (struct vh_guest_figures){.name = "web", .connected = true, .hints = G_MAXUINT64};
    figures->each[1] = (struct vh_guest_figures){.name = "a\"b\\c\nd", .pinned = 4};
    text = vh_figures_text(figures);
    g_assert_nonnull(strstr(text, "# TYPE vhint_guests gauge\nvhint_guests 3\n"));
    g_assert_nonnull(strstr(text, "\nvhint_guests_connected 2\n"));
    g_assert_nonnull(strstr(text, "\nvhint_rounds_seconds_total 12.000034\n"));
    g_assert_nonnull(strstr(text, "\nvhint_plans_total 7\n"));
    g_assert_nonnull(strstr(text, "\nvhint_plans_cpu_seconds_total 3.000000056\n"));
    g_assert_nonnull(strstr(text, "\nvhint_guest_connected{guest=\"web\"} 1\n"));
    g_assert_nonnull(
        strstr(text, "\nvhint_guest_hints_total{guest=\"web\"} 18446744073709551615\n"));
    g_assert_nonnull(strstr(text, "\nvhint_guest_vcpus_pinned{guest=\"a\\\"b\\\\c\\nd\"} 4\n"));
    g_assert_true(g_str_has_suffix(text, "\n"));
}

/* A metric without any series has no head either. */
static void test_no_guests(void)
{
    const struct vh_figures figures = {0};
    g_autofree char *text = vh_figures_text(&figures);

    g_assert_nonnull(strstr(text, "\nvhint_guests 0\n"));
    g_assert_null(strstr(text, "vhint_guest_"));
}

static void test_loopback(void)
{
    static const char *const good[] = {"127.0.0.1:9477", "127.3.2.1:1", "[::1]:65535"};
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "0.0.0.0:9477",
                                      "192.168.0.1:9477",
                                      "[::]:9477",
                                      "9477",
                                      "localhost:9477",
                                      "127.0.0.1:0",
                                      "127.0.0.1:65536",
                                      "::1:9477",
                                      ":9477",
                                      "127.0.0.1:9477x",
                                      "[]:9477",
                                      "[::1]",
                                      "[::1:9477"};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GSocketAddress) address = vh_loopback_parse(good[i]);

        g_assert_nonnull(address);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_null(vh_loopback_parse(bad[i]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/figures/text", test_text);
    g_test_add_func("/figures/no-guests", test_no_guests);
    g_test_add_func("/loopback/parse", test_loopback);
    return g_test_run();
}
