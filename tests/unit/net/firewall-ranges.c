// SPDX-License-Identifier: GPL-2.0-or-later
// host/net/firewall-ranges.c: against sets of bits.
#include "net/firewall-ranges.h"

#define VALUES 64u

static guint64 bits_of(const VhRanges *ranges)
{
    guint64 bits = 0;

    for (guint i = 0; i < VALUES; i++)
        bits |= (guint64)vh_ranges_has(ranges, i) << i;
    return bits;
}

static const VhRanges *make(VhRangeStore *store, guint64 *bits)
{
    struct vh_range ranges[5];
    guint count = (guint)g_test_rand_int_range(0, 6);

    *bits = 0;
    for (guint i = 0; i < count; i++) {
        guint lo = (guint)g_test_rand_int_range(0, VALUES);
        guint hi = (guint)g_test_rand_int_range((gint32)lo, VALUES);

        ranges[i] = (struct vh_range){lo, hi};
        for (guint j = lo; j <= hi; j++)
            *bits |= (guint64)1 << j;
    }
    return vh_ranges_union(store, ranges, count);
}

static void test_sets(void)
{
    for (int i = 0; i < 20000; i++) {
        g_autoptr(VhRangeStore) store = vh_range_store_new(1000);
        guint64 a = 0;
        guint64 b = 0;
        const VhRanges *x = make(store, &a);
        const VhRanges *y = make(store, &b);

        g_assert_cmphex(bits_of(x), ==, a);
        g_assert_cmphex(bits_of(vh_ranges_and(store, x, y)), ==, a & b);
        g_assert_cmphex(bits_of(vh_ranges_not(store, x, VALUES - 1)), ==, ~a);
        g_assert(vh_ranges_within(x, y) == !(a & ~b));
        g_assert(vh_ranges_and(store, NULL, y) == y && vh_ranges_and(store, x, NULL) == x);
        g_assert_false(store->spent);
    }
}

static void test_edges(void)
{
    g_autoptr(VhRangeStore) store = vh_range_store_new(1000);
    vh_u128 max = ~(vh_u128)0;
    const VhRanges *all = vh_ranges_one(store, 0, max);
    const VhRanges *top = vh_ranges_one(store, max, max);

    g_assert_cmpuint(vh_ranges_not(store, all, max)->count, ==, 0);
    g_assert_cmpuint(vh_ranges_not(store, NULL, max)->count, ==, 0);
    g_assert_true(vh_ranges_has(vh_ranges_not(store, top, max), max - 1));
    g_assert_false(vh_ranges_has(vh_ranges_not(store, top, max), max));
    g_assert_true(vh_ranges_within(vh_ranges_not(store, vh_ranges_none(store), max), all));
}

static void test_budget(void)
{
    g_autoptr(VhRangeStore) store = vh_range_store_new(3);

    vh_ranges_one(store, 1, 2);
    g_assert_false(store->spent);
    vh_ranges_one(store, 1, 2);
    g_assert_true(store->spent);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/firewall-ranges/sets", test_sets);
    g_test_add_func("/net/firewall-ranges/edges", test_edges);
    g_test_add_func("/net/firewall-ranges/budget", test_budget);
    return g_test_run();
}
