// SPDX-License-Identifier: GPL-2.0-or-later
// What trials let be in force: whether a pin may, and all boosts.
#include <math.h>

#include "act/bell.h"
#include "round/state.h"

static struct vh_trial_options tried_by(const struct vh_rule *rule, gint64 sample_us)
{
    unsigned traits = rule->what.action->traits;
    bool brief = traits & VH_ACTION_BRIEF;

    return (struct vh_trial_options){.sample_us = sample_us,
                                     .on = rule->trial,
                                     .keep_unproven = traits & VH_ACTION_KEPT,
                                     .hold_us = brief ? rule->hold_us : 0,
                                     .rest_us = brief ? rule->cooldown_us : 0,
                                     .loss = rule->loss};
}

bool vh_round_ask(VhRound *round, const struct vh_entry *entry, const struct vh_target *target,
                  const struct vh_wish *wish, bool planned)
{
    const char *unsteady = vh_guest_unsteady(entry->guest);
    gint64 sample_us = vh_policy_store_get(round->policy)->trial_window_us / VH_TRIAL_SAMPLES;
    bool pin = true;

    vh_trials_name(round->trials, target);
    if (wish->tried && planned)
        pin = vh_trials_ask(
            round->trials, target,
            &(struct vh_trials_ask){.what = VH_TRIALS_PIN,
                                    .rule = wish->tried->name,
                                    .options = tried_by(wish->tried, sample_us),
                                    .figure = NAN,
                                    .unsteady = unsteady,
                                    .found = entry->left && vh_round_pin(round, &target->key)});
    if (wish->boost)
        vh_trials_ask(round->trials, target,
                      &(struct vh_trials_ask){.what = VH_TRIALS_BOOST,
                                              .boost = (enum vh_boost_kind)wish->boost->what.how,
                                              .rule = wish->boost->name,
                                              .options = tried_by(wish->boost, sample_us),
                                              .figure = wish->figure,
                                              .unsteady = unsteady});
    return pin;
}

/* The plan does not have boosts: who asks for it. */
static char *boost_reason(const struct vh_target *target, gconstpointer cause, gpointer data)
{
    (void)cause;
    if (target->key.kind == VH_TARGET_EMULATOR)
        return g_strdup("it runs the timers of a boosted vCPU");
    return vh_trials_reason(((const VhRound *)data)->trials, target->on.thread, VH_TRIALS_BOOST);
}

/* Without KVM a vCPU wakes up when QEMU's first thread lets it, so that thread must not wait
 * either. Only where the warden keeps its budget as well, since it has no trial of its own. */
static void want_timers(VhRound *round, const struct vh_target *target,
                        const union vh_setting *setting)
{
    for (unsigned i = 0; i < round->entries->len && vh_bell_is_warded(round->saved); i++) {
        const struct vh_entry *entry = g_ptr_array_index(round->entries, i);
        const struct vh_thread_id process = vh_guest_process(entry->guest);
        const struct vh_target first = {
            .key = {target->key.guest, VH_TARGET_EMULATOR, (unsigned)process.thread},
            .on = process};

        if (g_str_equal(vh_entry_name(entry), target->key.guest) &&
            vh_guest_is_emulated(entry->guest) && process.thread)
            vh_actuate_want(round->boosts, &first, setting, NULL);
    }
}

static void want_boost(const struct vh_target *target, enum vh_boost_kind boost, gpointer data)
{
    VhRound *round = data;
    union vh_setting setting = {.boost = boost};

    vh_actuate_want(round->boosts, target, &setting, NULL);
    if (boost == VH_BOOST_RR)
        want_timers(round, target, &setting);
}

static void tell_boost(const struct vh_target *target, enum vh_boost_kind boost, gpointer data)
{
    VhRound *round = data;
    g_autofree char *former = NULL;
    const char *problem = NULL;

    (void)boost;
    vh_actuate_describe(round->boosts, &target->key, &former, &problem);
    vh_trials_tell(round->trials, target->on.thread, VH_TRIALS_BOOST, problem);
}

void vh_round_boost(const char *why, gpointer data)
{
    VhRound *round = data;

    vh_actuate_begin(round->boosts, boost_reason, round);
    vh_trials_boosts(round->trials, want_boost, round);
    round->unboosted += vh_actuate_end(round->boosts, why, NULL);
    vh_trials_boosts(round->trials, tell_boost, round);
}
