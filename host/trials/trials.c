// SPDX-License-Identifier: GPL-2.0-or-later
// Leads actions through their trials: asks, samples, budgets, one timer.
#include "trials/trials.h"

#include <math.h>

#include "trials/state.h"

#define PARTIAL_US 5000 /* a stretch shorter than this says nothing */
#define TURN_MOST_US \
    1000 /* looks hold up the main loop for no longer; the others come next time around */

typedef struct vh_trials_item Item;

/* Boosts within budget only. */
static bool in_force(const Item *item)
{
    return item->asked && vh_trial_in_force(&item->trial) && !item->budget.spent;
}

static void item_free(gpointer data)
{
    Item *item = data;

    g_clear_pointer(&item->neighbours, g_array_unref);
    vh_trials_forget_budget(item);
    g_free(item->guest);
    g_free(item->rule);
    g_free(item->problem);
    g_free(item->refused);
    g_free(item);
}

static gboolean on_timer(gpointer data);

static gboolean dispatch(G_GNUC_UNUSED GSource *source, GSourceFunc func, gpointer data)
{
    return func(data);
}

static GSourceFuncs timer_funcs = {.dispatch = dispatch};

VhTrials *vh_trials_new(const char *proc, VhJournal *journal, const struct vh_trials_funcs *funcs,
                        gpointer data)
{
    VhTrials *trials = g_new0(VhTrials, 1);

    trials->proc = g_strdup(proc);
    trials->crowd = vh_crowd_new(proc);
    trials->journal = journal;
    trials->funcs = funcs;
    trials->data = data;
    trials->limits = (struct vh_budget_limits){VH_BUDGET_SHARE, VH_BUDGET_PERIOD_US};
    trials->timer = g_source_new(&timer_funcs, sizeof(GSource));
    g_source_set_callback(trials->timer, on_timer, trials, NULL);
    g_source_attach(trials->timer, NULL);
    for (guint i = 0; i < VH_TRIALS_COUNT; i++)
        trials->items[i] = g_hash_table_new_full(NULL, NULL, NULL, item_free);
    return trials;
}

void vh_trials_free(VhTrials *trials)
{
    if (!trials)
        return;
    g_source_destroy(trials->timer);
    g_source_unref(trials->timer);
    for (guint i = 0; i < VH_TRIALS_COUNT; i++)
        g_hash_table_unref(trials->items[i]);
    vh_crowd_free(trials->crowd);
    g_free(trials->proc);
    g_free(trials);
}

GPtrArray *vh_trials_list(const VhTrials *trials)
{
    GPtrArray *items = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value = NULL;

    for (guint i = 0; i < VH_TRIALS_COUNT; i++) {
        g_hash_table_iter_init(&iter, trials->items[i]);
        while (g_hash_table_iter_next(&iter, NULL, &value))
            g_ptr_array_add(items, value);
    }
    return items;
}

/* ---- samples ---- */

static void tell_verdict(VhTrials *trials, Item *item)
{
    const struct vh_trial_result *result = &item->trial.result;
    g_autofree char *what = g_strdup_printf(
        "trial %s vCPU %u", item->what == VH_TRIALS_PIN ? "pin" : "boost", item->vcpu);
    g_autofree char *numbers = vh_trial_numbers(result);
    g_autofree char *why =
        g_strdup_printf("%s: %s%s%s (rule %s)", vh_trial_verdict_text(result->verdict),
                        result->reason, *numbers ? "; " : "", numbers, item->rule);
    g_autofree char *before =
        isfinite(result->before) ? g_strdup_printf("%.4f", result->before) : NULL;
    g_autofree char *after =
        isfinite(result->after) ? g_strdup_printf("%.4f", result->after) : NULL;

    vh_journal_change(trials->journal, item->guest, what, why, before, after);
}

static void interrupt(VhTrials *trials, Item *item, const char *why, gint64 now)
{
    if (vh_trial_interrupt(&item->trial, why, now))
        tell_verdict(trials, item);
}

static void sample(VhTrials *trials, Item *item, gint64 now)
{
    struct vh_trial_sample taken = vh_trials_look(trials, item, now);

    if (item->unsteady) {
        interrupt(trials, item, item->unsteady, now);
        return;
    }
    if (vh_trial_take(&item->trial, &taken, now))
        tell_verdict(trials, item);
}

/* What the item's state needs that has just been entered, or is still. */
static void follow(VhTrials *trials, Item *item, gint64 now)
{
    const char *missing = NULL;

    if (item->marked == item->trial.sampled)
        return;
    if (vh_trial_is_watched(&item->trial))
        vh_trials_mark_own(trials, item);
    if (!vh_trial_is_measuring(&item->trial))
        return;
    if (item->trial.state == VH_TRIAL_BASELINE && !item->trial.before.count)
        missing = vh_crowd_missing(trials->crowd);
    if (missing) {
        vh_trial_give_up(&item->trial, missing, now);
        if (!trials->told_missing)
            tell_verdict(trials, item);
        trials->told_missing = true;
        return;
    }
    vh_trials_meet(trials, item, now);
    vh_trials_mark(trials, item);
}

/* ---- the timer ---- */

/* Looks that are due within one turn are taken together. */
static void arm(VhTrials *trials, gint64 now, gint64 budget)
{
    g_autoptr(GPtrArray) items = vh_trials_list(trials);
    gint64 next = -1;

    for (guint i = 0; i < items->len; i++) {
        const Item *item = g_ptr_array_index(items, i);
        gint64 when = item->asked ? vh_trial_next(&item->trial) : -1;

        if (when >= 0 && (next < 0 || when < next))
            next = when;
    }
    if (next >= 0)
        next = MAX(next, trials->turned + VH_CROWD_TURN_US);
    if (budget >= 0 && (next < 0 || budget < next))
        next = budget;
    g_source_set_ready_time(trials->timer, next < 0 ? -1 : MAX(next, now + 1));
}

/* Returns whether the action is to be in force and was not, or the other way round. */
static bool pass_time(VhTrials *trials, Item *item, gint64 now)
{
    bool was = vh_trial_in_force(&item->trial);

    if (vh_trial_is_measuring(&item->trial) &&
        now >= item->trial.sampled + vh_trial_sample_us(&item->trial))
        sample(trials, item, now);
    if (vh_trial_is_watched(&item->trial) && now >= item->trial.bar_until)
        vh_trial_watch(&item->trial, vh_trials_look_wait(trials, item, now), now);
    if (vh_trial_tick(&item->trial, now))
        tell_verdict(trials, item);
    follow(trials, item, now);
    return was != vh_trial_in_force(&item->trial);
}

/* Looks at what is due, from where the last turn ended, for no longer than a turn may take. Sets
 * `changed` of the kinds of which an action is to be in force and was not, or the other way round.
 */
static void look_at_all(VhTrials *trials, const GPtrArray *items, gint64 now,
                        bool changed[VH_TRIALS_COUNT])
{
    for (guint i = 0; i < items->len; i++) {
        guint at = (trials->first + i) % items->len;
        Item *item = g_ptr_array_index(items, at);
        gint64 next = item->asked ? vh_trial_next(&item->trial) : -1;

        if (!item->asked)
            continue;
        if (pass_time(trials, item, now))
            changed[item->what] = true;
        if (next < 0 || next > now)
            continue;
        trials->turned = now;
        if (i + 1 < items->len && g_get_monotonic_time() - now > TURN_MOST_US) {
            trials->first = at + 1;
            trials->turned = 0;
            return;
        }
    }
}

static gboolean on_timer(gpointer data)
{
    VhTrials *trials = data;
    g_autoptr(GPtrArray) items = vh_trials_list(trials);
    g_autofree bool *former = g_new0(bool, items->len + 1);
    gint64 now = g_get_monotonic_time();
    bool changed[VH_TRIALS_COUNT] = {false};
    bool budgets = false;

    for (guint i = 0; i < items->len; i++)
        former[i] = in_force(g_ptr_array_index(items, i));
    look_at_all(trials, items, now, changed);
    arm(trials, now, vh_trials_spend(trials, now));
    budgets = trials->again;
    trials->again = false;
    for (guint i = 0; i < items->len; i++)
        budgets = budgets || former[i] != in_force(g_ptr_array_index(items, i));
    /* A replan makes a round, which ends with the boosts. */
    if (changed[VH_TRIALS_PIN])
        trials->funcs->replan("a trial went on", trials->data);
    else if (changed[VH_TRIALS_BOOST] || budgets)
        trials->funcs->boost(changed[VH_TRIALS_BOOST] ? "its trial went on" : NULL, trials->data);
    return G_SOURCE_CONTINUE;
}

/* ---- rounds ---- */

void vh_trials_begin(VhTrials *trials)
{
    g_autoptr(GPtrArray) items = vh_trials_list(trials);

    for (guint i = 0; i < items->len; i++) {
        Item *item = g_ptr_array_index(items, i);

        item->named = false;
        item->asked = false;
    }
}

void vh_trials_name(VhTrials *trials, const struct vh_target *target)
{
    for (guint i = 0; i < VH_TRIALS_COUNT; i++) {
        Item *item = vh_trials_find(trials, target->on.thread, (enum vh_trials_what)i);

        /* The thread's number may be another's by now. */
        if (item)
            item->named = item->vcpu == target->key.id &&
                          vh_thread_id_equal(&item->on, &target->on) &&
                          g_str_equal(item->guest, target->key.guest);
    }
}

static Item *learn(VhTrials *trials, const struct vh_target *target, enum vh_trials_what what)
{
    Item *item = vh_trials_find(trials, target->on.thread, what);

    if (item && item->named)
        return item;
    item = g_new0(Item, 1);
    item->guest = g_strdup(target->key.guest);
    item->vcpu = target->key.id;
    item->on = target->on;
    item->what = what;
    item->rule = g_strdup("");
    item->named = true;
    g_hash_table_replace(trials->items[what], GINT_TO_POINTER(target->on.thread), item);
    return item;
}

bool vh_trials_ask(VhTrials *trials, const struct vh_target *target,
                   const struct vh_trials_ask *ask)
{
    Item *item = learn(trials, target, ask->what);
    gint64 now = g_get_monotonic_time();

    /* What was begun before it got so, or before it was over, is void too. */
    if (item->unsteady || ask->unsteady)
        interrupt(trials, item, ask->unsteady ? ask->unsteady : item->unsteady, now);
    item->unsteady = ask->unsteady;
    item->asked = true;
    item->figure = ask->figure;
    item->boost = ask->boost;
    if (!g_str_equal(item->rule, ask->rule)) {
        g_free(item->rule);
        item->rule = g_strdup(ask->rule);
    }
    if (ask->found && item->trial.state == VH_TRIAL_OFF)
        vh_trial_find(&item->trial, &ask->options, now);
    else
        vh_trial_want(&item->trial, &ask->options, now);
    /* A boost's files are read once the round's pins are in force, which must not wait for them. */
    if (item->what == VH_TRIALS_PIN)
        follow(trials, item, now);
    return in_force(item);
}

static void drop(VhTrials *trials, Item *item, gint64 now)
{
    if (item->trial.state == VH_TRIAL_OFF)
        return;
    if (vh_trial_is_measuring(&item->trial) && now - item->trial.sampled >= PARTIAL_US)
        sample(trials, item, now);
    vh_trial_drop(&item->trial, now);
    g_clear_pointer(&item->problem, g_free);
}

void vh_trials_end(VhTrials *trials, const char *why)
{
    g_autoptr(GPtrArray) items = vh_trials_list(trials);
    gint64 now = g_get_monotonic_time();

    for (guint i = 0; i < items->len; i++) {
        Item *item = g_ptr_array_index(items, i);

        if (!item->asked)
            drop(trials, item, now);
        else if (item->what == VH_TRIALS_BOOST)
            follow(trials, item, now);
        if (!item->named)
            g_hash_table_remove(trials->items[item->what], GINT_TO_POINTER(item->on.thread));
    }
    arm(trials, now, vh_trials_spend(trials, now));
    trials->funcs->boost(why, trials->data);
}

void vh_trials_boosts(VhTrials *trials, VhTrialsBoostFunc func, gpointer data)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_hash_table_iter_init(&iter, trials->items[VH_TRIALS_BOOST]);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Item *item = value;
        const struct vh_target target = {.key = {item->guest, VH_TARGET_VCPU, item->vcpu},
                                         .on = item->on};

        if (in_force(item))
            func(&target, vh_trials_kind(item), data);
    }
}

void vh_trials_tell(VhTrials *trials, pid_t thread, enum vh_trials_what what, const char *problem)
{
    Item *item = vh_trials_find(trials, thread, what);
    gint64 now = 0;

    if (!item)
        return;
    g_free(item->problem);
    item->problem = *problem ? g_strdup(problem) : NULL;
    /* Refused as real-time: next time by nice, which the timer sees to at once. */
    if (item->problem && vh_trials_kind(item) == VH_BOOST_RR && item->boost == VH_BOOST_AUTO) {
        g_free(item->refused);
        item->refused = g_strdup(problem);
        trials->again = true;
        g_source_set_ready_time(trials->timer, 0);
        return;
    }
    if (!item->problem || item->trial.state != VH_TRIAL_WINDOW)
        return;
    now = g_get_monotonic_time();
    vh_trial_give_up(&item->trial, "it could not be applied", now);
    tell_verdict(trials, item);
    arm(trials, now, vh_trials_spend(trials, now));
}

char *vh_trials_reason(const VhTrials *trials, pid_t thread, enum vh_trials_what what)
{
    const Item *item = vh_trials_find(trials, thread, what);

    if (!item)
        return g_strdup("");
    return g_strdup_printf("the rule %s asks for it; %s", item->rule,
                           vh_trial_state_text(item->trial.state));
}

void vh_trials_interrupt(VhTrials *trials, const char *guest, const char *why)
{
    g_autoptr(GPtrArray) items = vh_trials_list(trials);
    gint64 now = g_get_monotonic_time();

    for (guint i = 0; i < items->len; i++) {
        Item *item = g_ptr_array_index(items, i);

        if (!guest || g_str_equal(item->guest, guest))
            interrupt(trials, item, why, now);
    }
}
