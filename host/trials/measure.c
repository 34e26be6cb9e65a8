// SPDX-License-Identifier: GPL-2.0-or-later
// Measures an action's thread and its neighbours.
#include <math.h>
#include <string.h>

#include "trials/state.h"

#define NEIGHBOURS 32u

typedef struct vh_trials_item Item;

/* ---- neighbours ---- */

/* The other vCPUs of a guest are its own business. */
static bool is_of(const VhTrials *trials, const char *guest, pid_t thread)
{
    for (unsigned i = 0; i < VH_TRIALS_COUNT; i++) {
        const Item *item = vh_trials_find(trials, thread, (enum vh_trials_what)i);

        if (item && g_str_equal(item->guest, guest))
            return true;
    }
    return false;
}

void vh_trials_meet(const VhTrials *trials, Item *item, gint64 now)
{
    const GArray *busiest = NULL;

    /* Those of a former trial may have been busy with something else. */
    if (item->trial.state == VH_TRIAL_BASELINE && !item->trial.before.count &&
        item->met < item->trial.began)
        g_clear_pointer(&item->neighbours, g_array_unref);
    if (item->neighbours)
        return;
    busiest = vh_crowd_busiest(trials->crowd, now);
    if (!busiest)
        return;
    g_clear_pointer(&item->neighbours, g_array_unref);
    item->neighbours = g_array_new(FALSE, TRUE, sizeof(struct vh_trials_neighbour));
    item->met = now;
    for (guint i = 0; i < busiest->len && item->neighbours->len < NEIGHBOURS; i++) {
        struct vh_trials_neighbour neighbour = {.thread = g_array_index(busiest, pid_t, i)};

        if (!is_of(trials, item->guest, neighbour.thread))
            g_array_append_val(item->neighbours, neighbour);
    }
}

/* ---- samples ---- */

void vh_trials_mark_own(const VhTrials *trials, Item *item)
{
    item->marked = item->trial.sampled;
    /* The look that has just ended a stretch begins the next one. */
    if (item->looked == item->marked) {
        item->run = item->seen;
        return;
    }
    memset(&item->run, 0, sizeof(item->run));
    vh_sample_thread(trials->proc, item->on.thread, &item->run);
}

/* `now` is what a thread got since `then`, `past_us` ago. The kernel counts a wait when it is over:
 * who did not run and is in the queue has waited all the time; of a wait that is over, what was
 * before `then` belonged to former looks. Returns whether it is the same thread still. */
static bool count_waits(const VhTrials *trials, pid_t thread, const struct vh_run *then,
                        struct vh_run *now, gint64 past_us)
{
    guint64 past_ns = (guint64)MAX(past_us, 0) * 1000;

    if (!then->ran || now->ran < then->ran || now->waited < then->waited)
        return false;
    if (now->ran == then->ran && now->waited == then->waited &&
        vh_crowd_is_runnable(trials->crowd, thread))
        now->waited += past_ns;
    now->waited = MIN(now->waited, then->waited + past_ns);
    return true;
}

double vh_trials_look_wait(const VhTrials *trials, Item *item, gint64 now)
{
    gint64 past_us = g_get_monotonic_time() - item->marked;
    struct vh_run run;

    item->looked = 0;
    if (vh_sample_thread(trials->proc, item->on.thread, &run) < 0)
        return NAN;
    item->looked = now;
    item->seen = run;
    if (!count_waits(trials, item->on.thread, &item->run, &run, past_us))
        return NAN;
    /* A vCPU whose guest is idle runs now and then, and may wait for that, too. */
    if ((run.ran - item->run.ran + run.waited - item->run.waited) / 1000 <
        (guint64)past_us / VH_TRIALS_ASLEEP)
        return NAN;
    return vh_sample_share(&item->run, &run);
}

void vh_trials_mark(const VhTrials *trials, Item *item)
{
    vh_trials_mark_own(trials, item);
    for (guint i = 0; item->neighbours && i < item->neighbours->len; i++) {
        struct vh_trials_neighbour *neighbour =
            &g_array_index(item->neighbours, struct vh_trials_neighbour, i);

        memset(&neighbour->then, 0, sizeof(neighbour->then));
        vh_crowd_read(trials->crowd, neighbour->thread, &neighbour->then);
    }
}

/* All neighbours together; those that are gone do not count. */
static double look_at_neighbours(const VhTrials *trials, const Item *item)
{
    struct vh_run before = {0};
    struct vh_run after = {0};

    for (guint i = 0; item->neighbours && i < item->neighbours->len; i++) {
        const struct vh_trials_neighbour *neighbour =
            &g_array_index(item->neighbours, struct vh_trials_neighbour, i);
        const struct vh_crowd_reading *then = &neighbour->then;
        struct vh_crowd_reading now;

        if (vh_crowd_read(trials->crowd, neighbour->thread, &now) < 0 ||
            !count_waits(trials, neighbour->thread, &then->run, &now.run, now.when - then->when))
            continue;
        before.ran += then->run.ran;
        before.waited += then->run.waited;
        after.ran += now.run.ran;
        after.waited += now.run.waited;
    }
    return vh_sample_share(&before, &after);
}

struct vh_trial_sample vh_trials_look(const VhTrials *trials, Item *item, gint64 now)
{
    struct vh_trial_sample taken = {.wait = vh_trials_look_wait(trials, item, now),
                                    .figure = item->figure};

    /* Who did not want to run says nothing, so there is nothing to set against it. */
    if (!isfinite(taken.wait))
        return taken;
    taken.neighbours = look_at_neighbours(trials, item);
    taken.load = vh_crowd_load(trials->crowd);
    return taken;
}
