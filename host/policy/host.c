// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the section [host].
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "policy/reader.h"

static const char *const host_keys[] = {"reserve", "boost-budget", "boost-period", "trial-window",
                                        NULL};

static int take_reserve(const char *value, const struct vh_policy_reader *reader, GError **error)
{
    struct vh_cpuset left;

    if (vh_policy_cpus(value, reader->world, &reader->policy->reserve, error) < 0)
        return -1;
    if (!reader->world->cpus)
        return 0;
    left = *reader->world->cpus;
    vh_cpuset_sub(&left, &reader->policy->reserve);
    return vh_cpuset_empty(&left) ? vh_invalid(error, "no CPU is left for guests: reserve fewer")
                                  : 0;
}

static int take_budget(const char *value, VhPolicy *policy, GError **error)
{
    unsigned share = 0;

    if (vh_policy_share(value, &share, error) < 0)
        return -1;
    if (share < VH_BUDGET_SHARE_MIN || share > VH_BUDGET_SHARE_MAX)
        return vh_invalid(
            error, "\"%s\" is not from %u%% to %u%%: others, and the host itself, need the rest",
            value, VH_BUDGET_SHARE_MIN, VH_BUDGET_SHARE_MAX);
    policy->budget.share = share;
    return 0;
}

static int take_time(const char *value, gint64 least, gint64 most, gint64 *us, GError **error)
{
    gint64 read = 0;

    if (vh_duration_parse(value, &read, error) < 0)
        return -1;
    if (read < least || read > most)
        return vh_invalid(error, "\"%s\" is not from %dms to %ds", value, (int)(least / 1000),
                          (int)(most / G_USEC_PER_SEC));
    *us = read;
    return 0;
}

/* One known key. 0, or -1 and an error. */
static int take_entry(const struct vh_policy_reader *reader, const struct vh_policy_entry *entry,
                      GError **error)
{
    VhPolicy *policy = reader->policy;

    if (g_str_equal(entry->key, "boost-budget"))
        return take_budget(entry->value, policy, error);
    if (g_str_equal(entry->key, "boost-period"))
        return take_time(entry->value, VH_BUDGET_PERIOD_MIN_US, VH_BUDGET_PERIOD_MAX_US,
                         &policy->budget.period_us, error);
    if (g_str_equal(entry->key, "trial-window"))
        return take_time(entry->value, VH_TRIAL_WINDOW_MIN_US, VH_TRIAL_WINDOW_MAX_US,
                         &policy->trial_window_us, error);
    return take_reserve(entry->value, reader, error);
}

void vh_policy_read_host(struct vh_policy_reader *reader, const struct vh_policy_section *section)
{
    for (guint i = 0; i < section->entries->len; i++) {
        const struct vh_policy_entry *entry = g_ptr_array_index(section->entries, i);
        const char *best = vh_nearest(entry->key, host_keys);
        g_autoptr(GError) error = NULL;

        if (!g_strv_contains(host_keys, entry->key))
            vh_policy_refuse(reader, section, entry, "unknown key; did you mean \"%s\"?",
                             best ? best : host_keys[0]);
        else if (take_entry(reader, entry, &error) < 0)
            vh_policy_refuse(reader, section, entry, "%s", error->message);
    }
}
