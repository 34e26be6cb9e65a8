// SPDX-License-Identifier: GPL-2.0-or-later
// Describes actions and their trials for the control interface, in the words of
// org.vhint.Manager1.xml.
#include <math.h>

#include "trials/state.h"

/* D-Bus knows no NAN that JSON could show: a number that is not there is left out. */
static void insert_number(GVariantDict *dict, const char *key, double value)
{
    if (isfinite(value))
        g_variant_dict_insert(dict, key, "d", value);
}

static void insert_result(GVariantDict *dict, const struct vh_trial_result *result)
{
    g_autofree char *numbers = NULL;

    g_variant_dict_insert(dict, "verdict", "s", vh_trial_verdict_text(result->verdict));
    g_variant_dict_insert(dict, "reason", "s", result->reason ? result->reason : "");
    if (result->verdict == VH_TRIAL_NONE)
        return;
    numbers = vh_trial_numbers(result);
    g_variant_dict_insert(dict, "numbers", "s", numbers);
    insert_number(dict, "before", result->before);
    insert_number(dict, "after", result->after);
    insert_number(dict, "noise", result->noise);
    insert_number(dict, "neighbours_before", result->neighbours_before);
    insert_number(dict, "neighbours_after", result->neighbours_after);
    insert_number(dict, "load_before", result->load_before);
    insert_number(dict, "load_after", result->load_after);
    insert_number(dict, "figure_before", result->figure_before);
    insert_number(dict, "figure_after", result->figure_after);
}

/* Why the boost is of this kind. g_free() it. */
static char *choice_text(const VhTrials *trials, const struct vh_trials_item *item, bool in_force)
{
    if (item->boost != VH_BOOST_AUTO)
        return g_strdup_printf("the rule says by %s", vh_boost_names[item->boost]);
    if (item->refused)
        return g_strdup_printf("auto: by nice, since real-time was refused: %s", item->refused);
    if (!in_force)
        return g_strdup("auto: real-time where this host allows it, else by nice");
    return g_strdup_printf("auto: real-time, since this host throttles such threads and %s",
                           trials->warded ? "the warden keeps their budgets"
                                          : "leaves vhintd a CPU without them");
}

static void insert_action(GVariantDict *dict, const VhTrials *trials,
                          const struct vh_trials_item *item)
{
    bool in_force = item->asked && vh_trial_in_force(&item->trial) && !item->problem;
    g_autofree char *action = NULL;
    g_autofree char *why = NULL;

    if (item->what == VH_TRIALS_BOOST) {
        action = g_strdup_printf("boost by %s",
                                 vh_boost_names[in_force ? vh_trials_kind(item) : item->boost]);
        why = choice_text(trials, item, in_force);
        g_variant_dict_insert(dict, "why", "s", why);
    }
    g_variant_dict_insert(dict, "action", "s", action ? action : "pin");
    g_variant_dict_insert(dict, "in_force", "b", (gboolean)in_force);
}

static GVariant *describe(const VhTrials *trials, const struct vh_trials_item *item)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    gint64 next = item->asked ? vh_trial_next(&item->trial) : -1;
    gint64 now = g_get_monotonic_time();

    g_variant_dict_insert(&dict, "vcpu", "u", item->vcpu);
    g_variant_dict_insert(&dict, "thread", "i", (gint32)item->on.thread);
    insert_action(&dict, trials, item);
    g_variant_dict_insert(&dict, "rule", "s", item->rule);
    g_variant_dict_insert(&dict, "trial", "b", (gboolean)item->trial.options.on);
    g_variant_dict_insert(&dict, "state", "s", vh_trial_state_text(item->trial.state));
    g_variant_dict_insert(&dict, "next", "d",
                          next < 0 ? -1.0 : (double)MAX(next - now, 0) / G_USEC_PER_SEC);
    g_variant_dict_insert(&dict, "reverts", "u", item->trial.reverts);
    g_variant_dict_insert(&dict, "problem", "s", item->problem ? item->problem : "");
    insert_result(&dict, &item->trial.result);
    return g_variant_dict_end(&dict);
}

static int by_vcpu(gconstpointer a, gconstpointer b)
{
    const struct vh_trials_item *x = *(struct vh_trials_item *const *)a;
    const struct vh_trials_item *y = *(struct vh_trials_item *const *)b;

    if (x->vcpu != y->vcpu)
        return x->vcpu < y->vcpu ? -1 : 1;
    return (int)x->what - (int)y->what;
}

GVariant *vh_trials_describe(const VhTrials *trials, const char *guest)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GPtrArray) items = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value = NULL;

    for (guint i = 0; i < VH_TRIALS_COUNT; i++) {
        g_hash_table_iter_init(&iter, trials->items[i]);
        while (g_hash_table_iter_next(&iter, NULL, &value))
            if (g_str_equal(((const struct vh_trials_item *)value)->guest, guest))
                g_ptr_array_add(items, value);
    }
    g_ptr_array_sort(items, by_vcpu);
    for (guint i = 0; i < items->len; i++)
        g_variant_builder_add_value(&builder, describe(trials, g_ptr_array_index(items, i)));
    return g_variant_builder_end(&builder);
}
