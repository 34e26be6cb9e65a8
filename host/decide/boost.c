// SPDX-License-Identifier: GPL-2.0-or-later
// Decides how long boosts may last, and whether they may be at all.
#include "decide/boost.h"

G_STATIC_ASSERT(VH_BOOST_RR_MAX == 1024); /* as the message says */

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
    if (count >= VH_BOOST_RR_MAX)
        return "1024 threads are real-time by boosts already: boost by nice";
    if (!warded && count + 1 >= own)
        return "real-time boosts would leave no host CPU to vhintd itself: boost by nice";
    return NULL;
}

static guint64 allowance_ns(const struct vh_budget_limits *limits)
{
    return (guint64)limits->period_us * 1000 * limits->share / 100;
}

/* From 1. */
static gint64 number_of(gint64 now, const struct vh_budget_limits *limits)
{
    return now / limits->period_us + 1;
}

void vh_budget_look(struct vh_budget *budget, guint64 time_ns, int cpu,
                    const struct vh_budget_limits *limits, gint64 now)
{
    if (!budget->period || budget->length != limits->period_us || time_ns < budget->time)
        *budget = (struct vh_budget){
            .period = number_of(now, limits), .length = limits->period_us, .at = time_ns};
    budget->time = time_ns;
    budget->cpu = cpu < VH_BUDGET_CPUS ? cpu : -1;
    /* What it uses once it is spent is no boost. */
    if (!budget->spent)
        budget->used_ns = time_ns - budget->at;
}

void vh_budget_pause(struct vh_budget *budget, guint64 time_ns)
{
    g_assert(budget->spent);
    if (time_ns < budget->time)
        return;
    budget->time = time_ns;
    budget->used_ns = time_ns - budget->at;
}

void vh_budget_resume(struct vh_budget *budget, guint64 time_ns)
{
    g_assert(!budget->spent);
    if (time_ns < budget->time)
        return;
    budget->at += time_ns - budget->time;
    budget->time = time_ns;
}

/* What was used on each CPU, as far as there are budgets of it: the rest of `sums` stays as it is.
 * `before`: by those alone whose period is an earlier one. */
static void sum_up(struct vh_budget *const *budgets, unsigned count, gint64 before, guint64 *sums)
{
    for (unsigned i = 0; i < count; i++)
        if (budgets[i]->cpu >= 0)
            sums[budgets[i]->cpu] = 0;
    for (unsigned i = 0; i < count; i++)
        if (budgets[i]->cpu >= 0 && budgets[i]->period < before)
            sums[budgets[i]->cpu] += budgets[i]->used_ns;
}

static guint64 used_with(const struct vh_budget *budget, const guint64 *sums)
{
    return budget->cpu < 0 ? budget->used_ns : sums[budget->cpu];
}

/* A new period begins for it. Of what the threads of its CPU owe together it owes its part. */
static void begin(struct vh_budget *budget, gint64 number, guint64 used, guint64 allowance)
{
    guint64 entitled = allowance * (guint64)(number - budget->period);
    double over = used > entitled ? (double)(used - entitled) / (double)used : 0;
    guint64 owed = (guint64)((double)budget->used_ns * over);

    budget->period = number;
    budget->at = budget->time - owed;
    budget->used_ns = owed;
    budget->spent = false;
}

gint64 vh_budget_settle(struct vh_budget *const *budgets, unsigned count,
                        const struct vh_budget_limits *limits, gint64 now)
{
    guint64 sums[VH_BUDGET_CPUS];
    guint64 allowance = allowance_ns(limits);
    gint64 number = number_of(now, limits);
    gint64 next = -1;

    sum_up(budgets, count, number, sums);
    for (unsigned i = 0; i < count; i++)
        if (budgets[i]->period < number)
            begin(budgets[i], number, used_with(budgets[i], sums), allowance);
    sum_up(budgets, count, G_MAXINT64, sums);
    for (unsigned i = 0; i < count; i++) {
        guint64 used = used_with(budgets[i], sums);
        gint64 when = number * limits->period_us;

        if (used >= allowance)
            budgets[i]->spent = true;
        if (!budgets[i]->spent)
            when =
                now + MAX((gint64)(allowance - used) / 1000, limits->period_us / VH_BUDGET_LOOKS);
        if (next < 0 || when < next)
            next = when;
    }
    return next;
}
