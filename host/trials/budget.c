// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps boosts within their budgets.
#include <string.h>

#include "machine/tid.h"
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

gint64 vh_trials_spend(VhTrials *trials, gint64 now)
{
    g_autoptr(GPtrArray) budgets = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value = NULL;
    bool weighs = false;

    g_hash_table_iter_init(&iter, trials->items[VH_TRIALS_BOOST]);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Item *item = value;

        if (!item->asked || !vh_trial_in_force(&item->trial)) {
            memset(&item->budget, 0, sizeof(item->budget));
            g_clear_pointer(&item->refused, g_free);
            continue;
        }
        if (trials->warded && vh_trials_kind(item) == VH_BOOST_RR) {
            memset(&item->budget, 0, sizeof(item->budget));
            continue;
        }
        weighs = weighs || vh_trials_kind(item) == VH_BOOST_WEIGHT;
        vh_budget_look(&item->budget, vh_tid_cpu_time(item->on.thread), vh_tid_cpu(item->on.thread),
                       &trials->limits, now);
        g_ptr_array_add(budgets, &item->budget);
    }
    if (weighs && now - trials->seen >= VH_TARGET_LEFT_US) {
        trials->seen = now;
        trials->again = true;
    }
    return vh_budget_settle((struct vh_budget *const *)budgets->pdata, budgets->len,
                            &trials->limits, now);
}
