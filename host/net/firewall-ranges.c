// SPDX-License-Identifier: GPL-2.0-or-later
// Makes sets of intervals, within a budget.
#include "net/firewall-ranges.h"

#include <string.h>

VhRangeStore *vh_range_store_new(guint budget)
{
    VhRangeStore *store = g_new0(VhRangeStore, 1);

    store->all = g_ptr_array_new_with_free_func(g_free);
    store->left = budget;
    return store;
}

void vh_range_store_free(VhRangeStore *store)
{
    if (!store)
        return;
    g_ptr_array_unref(store->all);
    g_free(store);
}

static const VhRanges *keep(VhRangeStore *store, const struct vh_range *at, guint count)
{
    VhRanges *ranges = NULL;

    if (count + 1 > store->left) {
        store->spent = true;
        count = 0;
    }
    store->left -= MIN(count + 1, store->left);
    ranges = g_malloc(sizeof(*ranges) + count * sizeof(*at));
    ranges->count = count;
    if (count)
        memcpy(ranges->at, at, count * sizeof(*at));
    g_ptr_array_add(store->all, ranges);
    return ranges;
}

const VhRanges *vh_ranges_one(VhRangeStore *store, vh_u128 lo, vh_u128 hi)
{
    struct vh_range range = {lo, hi};

    return keep(store, &range, lo <= hi);
}

const VhRanges *vh_ranges_none(VhRangeStore *store)
{
    return keep(store, NULL, 0);
}

static int by_lo(gconstpointer a, gconstpointer b)
{
    const struct vh_range *x = a;
    const struct vh_range *y = b;

    return (x->lo > y->lo) - (x->lo < y->lo);
}

const VhRanges *vh_ranges_union(VhRangeStore *store, struct vh_range *ranges, guint count)
{
    guint kept = 0;

    if (!count)
        return vh_ranges_none(store);
    qsort(ranges, count, sizeof(*ranges), by_lo);
    for (guint i = 1; i < count; i++) {
        struct vh_range *last = &ranges[kept];

        if (last->hi != ~(vh_u128)0 && ranges[i].lo > last->hi + 1)
            ranges[++kept] = ranges[i];
        else if (ranges[i].hi > last->hi)
            last->hi = ranges[i].hi;
    }
    return keep(store, ranges, kept + 1);
}

const VhRanges *vh_ranges_and(VhRangeStore *store, const VhRanges *a, const VhRanges *b)
{
    g_autoptr(GArray) both = NULL;

    if (!a || !b || a == b)
        return a ? a : b;
    both = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    for (guint i = 0, j = 0; i < a->count && j < b->count;) {
        struct vh_range range = {MAX(a->at[i].lo, b->at[j].lo), MIN(a->at[i].hi, b->at[j].hi)};

        if (range.lo <= range.hi)
            g_array_append_val(both, range);
        if (a->at[i].hi < b->at[j].hi)
            i++;
        else
            j++;
    }
    return keep(store, (const struct vh_range *)(void *)both->data, both->len);
}

const VhRanges *vh_ranges_not(VhRangeStore *store, const VhRanges *a, vh_u128 max)
{
    g_autoptr(GArray) rest = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    vh_u128 next = 0;
    bool ended = false;

    if (!a)
        return vh_ranges_none(store);
    for (guint i = 0; i < a->count && !ended; i++) {
        struct vh_range gap = {next, a->at[i].lo - 1};

        if (a->at[i].lo > next)
            g_array_append_val(rest, gap);
        ended = a->at[i].hi >= max;
        next = a->at[i].hi + 1;
    }
    if (!ended) {
        struct vh_range gap = {next, max};

        g_array_append_val(rest, gap);
    }
    return keep(store, (const struct vh_range *)(void *)rest->data, rest->len);
}

bool vh_ranges_has(const VhRanges *ranges, vh_u128 value)
{
    guint lo = 0;
    guint hi = ranges ? ranges->count : 0;

    if (!ranges)
        return true;
    while (lo < hi) {
        guint middle = lo + (hi - lo) / 2;

        if (ranges->at[middle].hi < value)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < ranges->count && ranges->at[lo].lo <= value;
}

bool vh_ranges_within(const VhRanges *inner, const VhRanges *outer)
{
    guint j = 0;

    if (!outer || inner == outer)
        return true;
    if (!inner)
        return false;
    for (guint i = 0; i < inner->count; i++) {
        while (j < outer->count && outer->at[j].hi < inner->at[i].lo)
            j++;
        if (j == outer->count || outer->at[j].lo > inner->at[i].lo ||
            outer->at[j].hi < inner->at[i].hi)
            return false;
    }
    return true;
}
