// SPDX-License-Identifier: GPL-2.0-or-later
// Decides how long boosts may last, and whether they may be at all.
#include "decide/boost.h"

const char *const vh_boost_names[] = {"nice", "rr", "weight", "uclamp", "auto", NULL};
G_STATIC_ASSERT(G_N_ELEMENTS(vh_boost_names) == VH_BOOST_COUNT + 1);

const char *vh_boost_refuse_rr(const char *runtime, unsigned count, unsigned own, bool warded)
{
    if (!runtime)
        return "it is not known whether this host throttles real-time threads "
               "(sched_rt_runtime_us): boost by nice";
    if (g_ascii_strtoll(runtime, NULL, 10) < 0)
        return "real-time threads are not throttled on this host: set kernel.sched_rt_runtime_us "
               "to 950000, or "
               "boost by nice";
    if (!warded && count + 1 >= own)
        return "real-time boosts would leave no host CPU to vhintd itself: boost by nice";
    return NULL;
}

static guint64 allowance_ns(const struct vh_budget_limits *limits)
{
    return (guint64)limits->period_us * 1000 * limits->share / 100;
}

void vh_budget_look(struct vh_budget *budget, guint64 time_ns, int cpu,
                    const struct vh_budget_limits *limits, gint64 now)
{
    if (!budget->period || now - budget->period >= limits->period_us || time_ns < budget->at) {
        budget->period = now;
        budget->at = time_ns;
        budget->spent = false;
    }
    budget->used_ns = time_ns - budget->at;
    budget->cpu = cpu;
    if (budget->used_ns >= allowance_ns(limits))
        budget->spent = true;
}

static guint64 used_on(struct vh_budget *const *budgets, unsigned count, int cpu)
{
    guint64 used = 0;

    for (unsigned i = 0; i < count; i++)
        if (budgets[i]->cpu == cpu)
            used += budgets[i]->used_ns;
    return used;
}

gint64 vh_budget_settle(struct vh_budget *const *budgets, unsigned count,
                        const struct vh_budget_limits *limits, gint64 now)
{
    gint64 next = -1;

    for (unsigned i = 0; i < count; i++) {
        struct vh_budget *budget = budgets[i];
        guint64 used = budget->cpu < 0 ? budget->used_ns : used_on(budgets, count, budget->cpu);
        gint64 left = 0;
        gint64 end = budget->period + limits->period_us;
        gint64 when = end;

        if (used >= allowance_ns(limits))
            budget->spent = true;
        if (!budget->spent) {
            left = (gint64)(allowance_ns(limits) - used) / 1000;
            when = now + MAX(left, limits->period_us / VH_BUDGET_LOOKS);
        }
        when = MIN(when, MAX(end, now + 1));
        if (next < 0 || when < next)
            next = when;
    }
    return next;
}
