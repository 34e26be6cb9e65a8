/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of guest CPUs or vCPUs, at the borders of their words. */
#include "base/mask.h"

#include <glib.h>

static void test_one_by_one(void)
{
    struct vh_mask mask = {0};

    g_assert_true(vh_mask_empty(&mask));
    for (unsigned cpu = 0; cpu < VH_CPUS_MAX; cpu++) {
        g_assert_false(vh_mask_has(&mask, cpu));
        vh_mask_add(&mask, cpu);
        g_assert_true(vh_mask_has(&mask, cpu));
        g_assert_cmpuint(vh_mask_next(&mask, 0), ==, cpu);
        g_assert_cmpuint(vh_mask_next(&mask, cpu), ==, cpu);
        g_assert_cmpuint(vh_mask_next(&mask, cpu + 1), ==, VH_CPUS_MAX);
        g_assert_cmpuint(vh_mask_weight(&mask), ==, 1);
        g_assert_false(vh_mask_several(&mask));
        vh_mask_del(&mask, cpu);
    }
    g_assert_true(vh_mask_empty(&mask));
    /* What is too large is in none, and none takes it. */
    vh_mask_add(&mask, VH_CPUS_MAX);
    vh_mask_del(&mask, VH_CPUS_MAX);
    g_assert_false(vh_mask_has(&mask, VH_CPUS_MAX));
    g_assert_true(vh_mask_empty(&mask));
}

static void test_pairs(void)
{
    static const unsigned cpus[] = {0, 1, 63, 64, 65, 127, 128, 500, VH_CPUS_MAX - 1};

    for (gsize i = 0; i < G_N_ELEMENTS(cpus); i++)
        for (gsize j = i + 1; j < G_N_ELEMENTS(cpus); j++) {
            struct vh_mask a = {0};
            struct vh_mask b = {0};

            vh_mask_add(&a, cpus[i]);
            vh_mask_add(&b, cpus[j]);
            g_assert_false(vh_mask_touch(&a, &b));
            vh_mask_or(&a, &b);
            g_assert_true(vh_mask_touch(&a, &b));
            g_assert_true(vh_mask_several(&a));
            g_assert_cmpuint(vh_mask_weight(&a), ==, 2);
            g_assert_cmpuint(vh_mask_next(&a, 0), ==, cpus[i]);
            g_assert_cmpuint(vh_mask_next(&a, cpus[i] + 1), ==, cpus[j]);
            g_assert_true(vh_bits_within(b.words, a.words, VH_MASK_WORDS));
            g_assert_false(vh_bits_within(a.words, b.words, VH_MASK_WORDS));
        }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mask/one-by-one", test_one_by_one);
    g_test_add_func("/mask/pairs", test_pairs);
    return g_test_run();
}
