// SPDX-License-Identifier: GPL-2.0-or-later
// Decides how much memory a guest has.
#include "decide/growth.h"

#include <math.h>

static const char *const state_texts[] = {
    [VH_GROWTH_OFF] = "off",         [VH_GROWTH_GROWING] = "growing", [VH_GROWTH_FULL] = "full",
    [VH_GROWTH_SHORT] = "short",     [VH_GROWTH_IN_USE] = "in use",   [VH_GROWTH_EASING] = "easing",
    [VH_GROWTH_RESTING] = "resting",
};
G_STATIC_ASSERT(G_N_ELEMENTS(state_texts) == VH_GROWTH_COUNT);

const char *vh_growth_state_text(enum vh_growth_state state)
{
    return state_texts[state];
}

static gint64 doubled(gint64 us, unsigned times)
{
    return us << MIN(times, VH_GROWTH_DOUBLINGS);
}

static void set_target(struct vh_growth *growth, guint64 target, gint64 now)
{
    growth->target = target;
    growth->changed = now;
    growth->judged = false;
}

/* Lower by a tenth at least: what is said of a window of a second is no finer. */
static bool is_better(double before, double after)
{
    return after < before * 0.9;
}

/* All that it may have is in force: did it help? */
static gint64 judge(struct vh_growth *growth, const struct vh_growth_ask *ask, gint64 now)
{
    gint64 due = growth->changed + VH_GROWTH_JUDGE_US;

    growth->state = VH_GROWTH_FULL;
    if (growth->judged || !ask->trial || isnan(ask->stall) || isnan(growth->before))
        return -1;
    if (now < due)
        return due;
    growth->judged = true;
    growth->after = ask->stall;
    if (is_better(growth->before, ask->stall)) {
        growth->reverts = 0;
        return -1;
    }
    growth->state = VH_GROWTH_RESTING;
    growth->target = 0;
    growth->rest = now + doubled(VH_GROWTH_REST_US, growth->reverts++);
    return growth->rest;
}

static gint64 grow(struct vh_growth *growth, const struct vh_growth_limits *limits,
                   const struct vh_growth_ask *ask, gint64 now)
{
    guint64 step;

    growth->calm = 0;
    if (growth->state == VH_GROWTH_RESTING && now < growth->rest)
        return growth->rest;
    if (growth->eased)
        growth->relapses = now - growth->eased < VH_GROWTH_RELAPSE_US ? growth->relapses + 1 : 0;
    growth->eased = 0;
    if (!growth->target) {
        growth->base = ask->has;
        growth->before = ask->stall;
        growth->after = NAN;
    }
    if (MAX(growth->target, growth->base) >= limits->max)
        return growth->target ? judge(growth, ask, now) : (growth->state = VH_GROWTH_FULL, -1);
    if (growth->target && now < growth->changed + VH_GROWTH_SETTLE_US)
        return growth->changed + VH_GROWTH_SETTLE_US;
    step = MIN(limits->step, limits->max - MAX(growth->target, growth->base));
    if (ask->spare < (gint64)step) {
        growth->state = VH_GROWTH_SHORT;
        return now + VH_GROWTH_RETRY_US;
    }
    set_target(growth, MAX(growth->target, growth->base) + step, now);
    growth->state = VH_GROWTH_GROWING;
    return now + (growth->target < limits->max ? VH_GROWTH_SETTLE_US : VH_GROWTH_JUDGE_US);
}

static gint64 shrink(struct vh_growth *growth, const struct vh_growth_limits *limits,
                     const struct vh_growth_ask *ask, gint64 now)
{
    guint64 floor = MAX(growth->base, MIN(limits->min, limits->max));
    gint64 wait =
        doubled(limits->linger, growth->relapses) * (ask->room < 0 ? VH_GROWTH_DUMB_FACTOR : 1);
    gint64 due;
    guint64 step;

    if (!growth->calm)
        growth->calm = now;
    if (growth->target <= floor) {
        if (growth->state != VH_GROWTH_RESTING || now >= growth->rest)
            growth->state = growth->target ? VH_GROWTH_FULL : VH_GROWTH_OFF;
        return -1;
    }
    due = MAX(growth->calm, growth->changed) + wait;
    if (now < due)
        return due;
    step = MIN(limits->step, growth->target - floor);
    if (ask->room >= 0 && ask->room < (gint64)(2 * step)) {
        growth->state = VH_GROWTH_IN_USE;
        return -1;
    }
    set_target(growth, growth->target - step, now);
    growth->eased = now;
    growth->state = VH_GROWTH_EASING;
    if (growth->target > growth->base)
        return growth->target > floor ? now + wait : -1;
    growth->target = 0;
    growth->state = VH_GROWTH_OFF;
    return -1;
}

gint64 vh_growth_look(struct vh_growth *growth, const struct vh_growth_limits *limits,
                      const struct vh_growth_ask *ask, gint64 now)
{
    if (!limits->max) {
        *growth = (struct vh_growth){0};
        return -1;
    }
    /* The limits may have become narrower. */
    if (growth->target > limits->max)
        set_target(growth, MAX(limits->max, growth->base), now);
    return ask->asked ? grow(growth, limits, ask, now) : shrink(growth, limits, ask, now);
}
