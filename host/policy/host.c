// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the section [host].
#include <stddef.h>

#include "base/error.h"
#include "policy/reader.h"

static int take_reserve(const char *value, const struct vh_policy_reader *reader, gpointer into,
                        GError **error)
{
    struct vh_cpuset reserve;
    struct vh_cpuset left;

    if (vh_policy_take_cpus(value, reader, &reserve, error) < 0)
        return -1;
    if (reader->world->cpus) {
        left = *reader->world->cpus;
        vh_cpuset_sub(&left, &reserve);
        if (vh_cpuset_empty(&left))
            return vh_invalid(error, "no CPU is left for guests: reserve fewer");
    }
    *(struct vh_cpuset *)into = reserve;
    return 0;
}

static int take_budget(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    unsigned share = 0;

    if (vh_policy_take_share(value, reader, &share, error) < 0)
        return -1;
    if (share < VH_BUDGET_SHARE_MIN || share > VH_BUDGET_SHARE_MAX)
        return vh_invalid(
            error, "\"%s\" is not from %u%% to %u%%: others, and the host itself, need the rest",
            value, VH_BUDGET_SHARE_MIN, VH_BUDGET_SHARE_MAX);
    *(unsigned *)into = share;
    return 0;
}

static int take_period(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    (void)reader;
    return vh_policy_time(value, VH_BUDGET_PERIOD_MIN_US, VH_BUDGET_PERIOD_MAX_US, into, error);
}

static int take_window(const char *value, const struct vh_policy_reader *reader, gpointer into,
                       GError **error)
{
    (void)reader;
    return vh_policy_time(value, VH_TRIAL_WINDOW_MIN_US, VH_TRIAL_WINDOW_MAX_US, into, error);
}

#define HOST(member) .at = offsetof(VhPolicy, member)

static const struct vh_policy_key host_keys[] = {
    {"reserve", HOST(reserve), .take = take_reserve},
    {"boost-budget", HOST(budget.share), .take = take_budget},
    {"boost-period", HOST(budget.period_us), .take = take_period},
    {"trial-window", HOST(trial_window_us), .take = take_window},
    {0},
};

void vh_policy_read_host(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    vh_policy_take_all(reader, section, host_keys, reader->policy);
}
