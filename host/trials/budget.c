// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps boosts within their budgets.
#include <errno.h>
#include <string.h>
#include <time.h>

#include "trials/state.h"

typedef struct vh_trials_item Item;

enum vh_boost_kind vh_trials_kind(const Item *item)
{
    if (item->boost != VH_BOOST_AUTO)
        return item->boost;
    return item->refused ? VH_BOOST_NICE : VH_BOOST_RR;
}

void vh_trials_limit(VhTrials *trials, const struct vh_budget_limits *limits, bool warded)
{
    trials->limits = *limits;
    trials->warded = warded;
}

void vh_trials_forget_budget(Item *item)
{
    memset(&item->budget, 0, sizeof(item->budget));
    vh_meter_close(&item->meter);
}

/* Is there a budget to look at, as there is of a thread that is there? One whose time cannot be
 * read, for want of descriptors, must not be boosted. */
static bool look(const VhTrials *trials, Item *item, gint64 now)
{
    int result = item->meter.open ? 0 : vh_meter_open(&item->meter, &item->on);

    if (result == -EMFILE)
        item->budget.spent = true;
    if (result < 0 || !vh_meter_read(&item->meter))
        return false;
    vh_budget_look(&item->budget, item->meter.time, item->meter.cpu, &trials->limits, now);
    return true;
}

/* Those that have a budget now, and that are ours to keep; the others' are forgotten. */
static GPtrArray *find_all(VhTrials *trials)
{
    GPtrArray *items = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, trials->items[VH_TRIALS_BOOST]);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Item *item = value;
        bool in_force = item->asked && vh_trial_in_force(&item->trial);

        if (!in_force)
            g_clear_pointer(&item->refused, g_free);
        if (!in_force || (trials->warded && vh_trials_kind(item) == VH_BOOST_RR))
            vh_trials_forget_budget(item);
        else
            g_ptr_array_add(items, item);
    }
    return items;
}

static gint64 look_at_all(VhTrials *trials, const GPtrArray *items, gint64 now)
{
    g_autoptr(GPtrArray) budgets = g_ptr_array_new();
    bool weighs = false;

    for (guint i = 0; i < items->len; i++) {
        Item *item = g_ptr_array_index(items, i);

        weighs = weighs || vh_trials_kind(item) == VH_BOOST_WEIGHT;
        if (look(trials, item, now))
            g_ptr_array_add(budgets, &item->budget);
    }
    if (weighs && now - trials->seen >= VH_TARGET_LEFT_US) {
        trials->seen = now;
        trials->again = true;
    }
    return vh_budget_settle((struct vh_budget *const *)budgets->pdata, budgets->len,
                            &trials->limits, now);
}

static gint64 used_us(void)
{
    struct timespec used = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (gint64)used.tv_sec * G_USEC_PER_SEC + used.tv_nsec / 1000;
}

/* Hints come first: whatever is looked at, it takes no more than a small part of the time. */
gint64 vh_trials_spend(VhTrials *trials, gint64 now)
{
    g_autoptr(GPtrArray) items = find_all(trials);
    gint64 began = used_us();
    gint64 next = -1;

    if (items->len && now < trials->spent)
        return trials->spent;
    next = look_at_all(trials, items, now);
    trials->spent = now + (used_us() - began) * VH_BUDGET_REST;
    return next < 0 ? -1 : MAX(next, trials->spent);
}
