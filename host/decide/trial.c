// SPDX-License-Identifier: GPL-2.0-or-later
// Leads an action through its trial.
#include "decide/trial.h"

#include <math.h>
#include <string.h>

static const char *const state_texts[] = {"off",      "baseline", "trial", "kept",
                                          "unproven", "resting",  "barred"};
G_STATIC_ASSERT(G_N_ELEMENTS(state_texts) == VH_TRIAL_STATES);

const char *vh_trial_state_text(enum vh_trial_state state)
{
    return state_texts[state];
}

bool vh_trial_in_force(const struct vh_trial *trial)
{
    return trial->state == VH_TRIAL_WINDOW || trial->state == VH_TRIAL_PROVEN ||
           trial->state == VH_TRIAL_OPEN;
}

bool vh_trial_is_measuring(const struct vh_trial *trial)
{
    return trial->state == VH_TRIAL_BASELINE || trial->state == VH_TRIAL_WINDOW;
}

gint64 vh_trial_sample_us(const struct vh_trial *trial)
{
    return trial->options.sample_us ? trial->options.sample_us : VH_TRIAL_SAMPLE_US;
}

bool vh_trial_is_watched(const struct vh_trial *trial)
{
    return trial->state == VH_TRIAL_BARRED && trial->watched;
}

static void enter(struct vh_trial *trial, enum vh_trial_state state, gint64 now)
{
    bool force = vh_trial_in_force(trial);

    trial->state = state;
    trial->began = now;
    trial->sampled = now;
    if (!force && vh_trial_in_force(trial))
        trial->force = now;
    else if (!vh_trial_in_force(trial))
        trial->force = 0;
}

static void clear(struct vh_trial *trial)
{
    trial->before.count = 0;
    trial->after.count = 0;
    trial->spent_us = 0;
}

/* What a wanted action is to do now. */
static void resume(struct vh_trial *trial, gint64 now)
{
    bool fresh = trial->before.count && now - trial->sampled < VH_TRIAL_AGE_US;

    if (now < trial->bar_until) {
        enter(trial, VH_TRIAL_BARRED, now);
        return;
    }
    if (now < trial->rest_until) {
        enter(trial, VH_TRIAL_RESTING, now);
        return;
    }
    if (!trial->options.on) {
        enter(trial, VH_TRIAL_OPEN, now);
        return;
    }
    if (now < trial->trust_until) {
        enter(trial, VH_TRIAL_PROVEN, now);
        return;
    }
    if (!fresh)
        clear(trial);
    enter(trial, trial->before.count == VH_TRIAL_SAMPLES ? VH_TRIAL_WINDOW : VH_TRIAL_BASELINE,
          now);
}

void vh_trial_want(struct vh_trial *trial, const struct vh_trial_options *options, gint64 now)
{
    bool switched = trial->options.on != options->on;

    trial->options = *options;
    if (switched && trial->state != VH_TRIAL_OFF) {
        clear(trial);
        trial->trust_until = 0;
    }
    /* Who knows better is not held back by what was measured before. */
    if (!options->on)
        trial->bar_until = 0;
    if (trial->state == VH_TRIAL_OFF || switched)
        resume(trial, now);
}

void vh_trial_find(struct vh_trial *trial, const struct vh_trial_options *options, gint64 now)
{
    trial->options = *options;
    enter(trial, VH_TRIAL_OPEN, now);
}

void vh_trial_drop(struct vh_trial *trial, gint64 now)
{
    gint64 sampled = trial->sampled;

    if (vh_trial_is_measuring(trial))
        trial->spent_us += now - trial->began;
    if (trial->force)
        trial->rest_until = now + trial->options.rest_us;
    enter(trial, VH_TRIAL_OFF, now);
    trial->sampled = sampled;
}

static gint64 doubled(gint64 base, unsigned times, unsigned most)
{
    return base << MIN(times, most);
}

/* The window is over, with `trial->result`. */
static void settle(struct vh_trial *trial, gint64 now)
{
    clear(trial);
    switch (trial->result.verdict) {
    case VH_TRIAL_KEPT:
        /* One good window does not undo a history of bad ones. */
        trial->reverts -= trial->reverts > 0;
        trial->retries = 0;
        trial->trust_until = now + VH_TRIAL_TRUST_US;
        enter(trial, VH_TRIAL_PROVEN, now);
        return;
    case VH_TRIAL_REVERTED:
        trial->bar_until = now + doubled(VH_TRIAL_BACKOFF_US, trial->reverts, VH_TRIAL_BACKOFF_MAX);
        trial->reverts = MIN(trial->reverts + 1, VH_TRIAL_BACKOFF_MAX);
        trial->trust_until = 0;
        enter(trial, VH_TRIAL_BARRED, now);
        return;
    default:
        trial->trust_until = 0;
        if (trial->options.keep_unproven) {
            enter(trial, VH_TRIAL_OPEN, now);
            return;
        }
        trial->bar_until = now + doubled(VH_TRIAL_RETRY_US, trial->retries, VH_TRIAL_RETRY_MAX);
        trial->retries = MIN(trial->retries + 1, VH_TRIAL_RETRY_MAX);
        enter(trial, VH_TRIAL_BARRED, now);
    }
}

static bool has_nothing_to_gain(const struct vh_trial_series *before)
{
    unsigned calm = 0;

    for (unsigned i = 0; i < before->count; i++)
        calm += vh_trial_is_calm(before->samples[i].wait);
    return calm * 2 > before->count;
}

/* There is no window: nothing was barred for being bad, so nothing is remembered against it. */
static bool leave_alone(struct vh_trial *trial, gint64 now)
{
    bool news = !trial->watched;

    trial->result = vh_trial_judge(&trial->before, &trial->before, trial->options.loss);
    clear(trial);
    trial->retries = 0;
    trial->bar_until = now + VH_TRIAL_WATCH_US;
    trial->watched = true;
    enter(trial, VH_TRIAL_BARRED, now);
    return news;
}

void vh_trial_watch(struct vh_trial *trial, double wait, gint64 now)
{
    trial->sampled = now;
    if (!vh_trial_is_watched(trial) || !vh_trial_is_calm(wait))
        return;
    /* Who sleeps is left to sleep. */
    trial->retries = isnan(wait) ? MIN(trial->retries + 1, VH_TRIAL_WATCH_MAX) : 0;
    trial->bar_until = now + doubled(VH_TRIAL_WATCH_US, trial->retries, VH_TRIAL_WATCH_MAX);
}

static bool conclude(struct vh_trial *trial, gint64 now)
{
    trial->watched = false;
    trial->result = vh_trial_judge(&trial->before, &trial->after, trial->options.loss);
    settle(trial, now);
    return true;
}

static struct vh_trial_result unmeasured(const char *why)
{
    static const struct vh_trial_series none;
    struct vh_trial_result result = vh_trial_judge(&none, &none, 0);

    result.reason = why;
    return result;
}

void vh_trial_give_up(struct vh_trial *trial, const char *why, gint64 now)
{
    trial->watched = false;
    trial->result = unmeasured(why);
    settle(trial, now);
}

bool vh_trial_interrupt(struct vh_trial *trial, const char *why, gint64 now)
{
    bool measuring = vh_trial_is_measuring(trial);
    bool any = trial->before.count > 0;

    if (!measuring && !any)
        return false;
    clear(trial);
    /* Nothing was found, so nothing is barred: it is measured again from the start. */
    if (measuring)
        enter(trial, VH_TRIAL_BASELINE, now);
    if (any)
        trial->result = unmeasured(why);
    return any;
}

/* Is the window full, or its time up? */
static bool is_full(const struct vh_trial *trial, const struct vh_trial_series *series, gint64 now)
{
    gint64 patience = VH_TRIAL_PATIENCE * VH_TRIAL_SAMPLES * vh_trial_sample_us(trial);

    return series->count == VH_TRIAL_SAMPLES || trial->spent_us + now - trial->began >= patience;
}

static bool advance(struct vh_trial *trial, gint64 now)
{
    if (trial->state == VH_TRIAL_BASELINE && is_full(trial, &trial->before, now)) {
        bool few = trial->before.count < VH_TRIAL_ENOUGH;

        if (!trial->options.keep_unproven && (few || has_nothing_to_gain(&trial->before)))
            return leave_alone(trial, now);
        /* There is nothing to compare with. */
        if (few)
            return conclude(trial, now);
        trial->spent_us = 0;
        enter(trial, VH_TRIAL_WINDOW, now);
        return false;
    }
    return trial->state == VH_TRIAL_WINDOW && is_full(trial, &trial->after, now) &&
           conclude(trial, now);
}

bool vh_trial_take(struct vh_trial *trial, const struct vh_trial_sample *sample, gint64 now)
{
    struct vh_trial_series *series =
        trial->state == VH_TRIAL_BASELINE ? &trial->before : &trial->after;

    if (!vh_trial_is_measuring(trial))
        return false;
    trial->sampled = now;
    if (isfinite(sample->wait) && series->count < VH_TRIAL_SAMPLES)
        series->samples[series->count++] = *sample;
    return advance(trial, now);
}

bool vh_trial_tick(struct vh_trial *trial, gint64 now)
{
    if ((trial->state == VH_TRIAL_BARRED && now >= trial->bar_until) ||
        (trial->state == VH_TRIAL_RESTING && now >= trial->rest_until))
        resume(trial, now);
    else if (trial->force && trial->options.hold_us &&
             now - trial->force >= trial->options.hold_us) {
        if (trial->state == VH_TRIAL_WINDOW)
            trial->spent_us += now - trial->began;
        trial->rest_until = now + trial->options.rest_us;
        enter(trial, VH_TRIAL_RESTING, now);
    }
    return advance(trial, now);
}

gint64 vh_trial_next(const struct vh_trial *trial)
{
    gint64 next = -1;

    switch (trial->state) {
    case VH_TRIAL_BASELINE:
    case VH_TRIAL_WINDOW:
        next = trial->sampled + vh_trial_sample_us(trial);
        break;
    case VH_TRIAL_RESTING:
        next = trial->rest_until;
        break;
    case VH_TRIAL_BARRED:
        next = trial->bar_until;
        break;
    default:
        break;
    }
    if (trial->force && trial->options.hold_us) {
        gint64 end = trial->force + trial->options.hold_us;

        next = next < 0 ? end : MIN(next, end);
    }
    return next;
}
