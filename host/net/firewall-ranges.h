/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of values of one field of a packet: sorted, disjoint, closed intervals.
 *
 * They never change once made, and live as long as their store. NULL stands for all values. A store
 * has a budget. Once that is spent, results mean nothing, and `spent` says so for good. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef unsigned __int128 vh_u128;

struct vh_range {
    vh_u128 lo;
    vh_u128 hi;
};

typedef struct {
    guint count; /* 0: no value */
    struct vh_range at[];
} VhRanges;

#define VH_RANGES_BUDGET 2000000u

typedef struct {
    GPtrArray *all;
    guint left; /* intervals that may still be made */
    bool spent;
} VhRangeStore;

VhRangeStore *vh_range_store_new(guint budget);
void vh_range_store_free(VhRangeStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhRangeStore, vh_range_store_free)

const VhRanges *vh_ranges_one(VhRangeStore *store, vh_u128 lo, vh_u128 hi);
const VhRanges *vh_ranges_none(VhRangeStore *store);

/* Of `count` intervals in any order; `ranges` is sorted in place. */
const VhRanges *vh_ranges_union(VhRangeStore *store, struct vh_range *ranges, guint count);
const VhRanges *vh_ranges_and(VhRangeStore *store, const VhRanges *a, const VhRanges *b);

/* All of 0 to `max` that is not in `a`. */
const VhRanges *vh_ranges_not(VhRangeStore *store, const VhRanges *a, vh_u128 max);

bool vh_ranges_has(const VhRanges *ranges, vh_u128 value);
bool vh_ranges_within(const VhRanges *inner, const VhRanges *outer);
