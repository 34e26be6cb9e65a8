// SPDX-License-Identifier: GPL-2.0-or-later
// Carries plans out, one actuator's actions per thread.
#include "act/state.h"

#include <string.h>

#include "base/error.h"
#include "machine/tid.h"

void vh_actuate_item_free(gpointer data)
{
    struct item *item = data;

    g_free(item->guest);
    g_free(item->problem);
    g_free(item);
}

char *vh_actuate_step_name(const VhActuate *actuate, const char *verb, unsigned vcpu, pid_t thread)
{
    static const char *const others[] = {"emulator", "IOThread", "vhost worker"};

    if (vcpu == VH_TARGET_GUEST)
        return g_strdup_printf("%s%s", actuate->actuator->name, *verb ? " back" : "");
    if (vcpu < VH_TARGET_EMULATOR || vcpu > VH_TARGET_VHOST)
        return g_strdup_printf("%s%s vCPU %u", verb, actuate->actuator->name, vcpu);
    return g_strdup_printf("%s%s %s, thread %d", verb, actuate->actuator->name,
                           others[vcpu - VH_TARGET_EMULATOR], thread);
}

/* QEMU's other threads come and go as they please. */
static bool came_and_went(const struct item *item, const GError *error)
{
    return item->vcpu >= VH_TARGET_EMULATOR &&
           g_error_matches(error, VH_ERROR, VH_ERROR_NOT_CONNECTED);
}

/* Puts the former state back. Returns whether there was anything to undo. */
static bool undo(VhActuate *actuate, struct item *item, const char *why)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *what = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    item->failed = false;
    item->barred = false;
    if (!item->starved)
        g_clear_pointer(&item->problem, g_free);
    if (!item->applied)
        return false;
    g_assert(item->hold);
    after = actuate->actuator->former(item->hold);
    item->applied = false;
    if (actuate->actuator->revert(item->hold, &error) < 0) {
        if (came_and_went(item, error))
            return false;
        item->problem = g_strdup(error->message);
        why = error->message;
    }
    if (!why)
        return true;
    what = vh_actuate_step_name(actuate, "un", item->vcpu, item->thread);
    before = actuate->actuator->text(&item->set);
    vh_journal_step(actuate->journal, item->guest, what, why, before, error ? NULL : after);
    return true;
}

void vh_actuate_free(VhActuate *actuate, const char *why)
{
    if (!actuate)
        return;
    vh_actuate_begin(actuate, NULL, NULL);
    vh_actuate_end(actuate, why, NULL);
    g_hash_table_unref(actuate->items);
    g_free(actuate);
}

void vh_actuate_begin(VhActuate *actuate, VhActuateReason reason, gpointer data)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_assert(!actuate->in_round);
    actuate->in_round = true;
    actuate->reason = reason;
    actuate->reason_data = data;
    actuate->why = NULL;
    actuate->out = false;
    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;

        item->named = false;
        item->wanted = false;
        item->why = NULL;
    }
}

static void complain(VhActuate *actuate, struct item *item, GError *error)
{
    g_autofree char *what = vh_actuate_step_name(actuate, "", item->vcpu, item->thread);

    if (came_and_went(item, error))
        return;
    g_free(item->problem);
    item->problem = g_strdup(error->message);
    vh_journal_step(actuate->journal, item->guest, what, error->message, NULL, NULL);
}

/* Has the new thread inherited what is in force for another of its guest? */
static void adopt(VhActuate *actuate, struct item *item)
{
    GHashTableIter iter;
    gpointer value = NULL;

    if (!item->hold || !actuate->actuator->adopt)
        return;
    g_hash_table_iter_init(&iter, actuate->items);
    while (!item->applied && g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct item *maker = value;

        if (!maker->applied || !g_str_equal(maker->guest, item->guest) ||
            !actuate->actuator->stands(item->hold, &maker->set))
            continue;
        actuate->actuator->adopt(item->hold, maker->hold);
        item->applied = true;
        item->set = maker->set;
    }
}

static struct item *learn(VhActuate *actuate, const struct vh_target *target)
{
    g_autoptr(GError) error = NULL;
    struct item *item = g_new0(struct item, 1);

    item->guest = g_strdup(target->guest);
    item->vcpu = target->vcpu;
    item->thread = target->thread;
    item->hold = actuate->actuator->probe(actuate->saved, target, &error);
    g_assert((item->hold == NULL) == (error != NULL));
    item->starved = !item->hold && g_error_matches(error, VH_ERROR, VH_ERROR_BUSY);
    if (!item->hold)
        complain(actuate, item, error);
    else if (actuate->actuator->found)
        item->applied = actuate->actuator->found(item->hold, &item->set);
    adopt(actuate, item);
    item->since = g_get_monotonic_time();
    g_hash_table_insert(actuate->items, GINT_TO_POINTER(target->thread), item);
    return item;
}

void vh_actuate_take_over(VhActuate *actuate, const struct vh_target *target)
{
    g_assert(!actuate->in_round);
    if (!vh_actuate_find(actuate, target->thread) &&
        vh_saved_is_left(actuate->saved, target->thread))
        learn(actuate, target);
}

/* Others may have given theirs back. */
static void probe_again(VhActuate *actuate, struct item *item, const struct vh_target *target)
{
    item->hold = actuate->actuator->probe(actuate->saved, target, NULL);
    item->starved = actuate->out = !item->hold;
    if (item->hold)
        g_clear_pointer(&item->problem, g_free);
}

void vh_actuate_want(VhActuate *actuate, const struct vh_target *target, unsigned guest,
                     unsigned vcpu, const union vh_setting *setting)
{
    struct item *item = vh_actuate_find(actuate, target->thread);

    g_assert(actuate->in_round);
    g_assert(!setting || actuate->reason);
    if (!item)
        item = learn(actuate, target);
    else if (item->starved && !actuate->out)
        probe_again(actuate, item, target);
    item->named = true;
    item->vcpu = target->vcpu; /* a thread is young and has no name of its own yet, then it has */
    item->plan_guest = guest;
    item->plan_vcpu = vcpu;
    item->wanted = setting != NULL;
    item->why = actuate->why;
    if (setting)
        item->wish = *setting;
}

void vh_actuate_assume(VhActuate *actuate, pid_t thread, const struct vh_cpuset *usual)
{
    const struct item *item = vh_actuate_find(actuate, thread);

    g_assert(actuate->in_round);
    if (item && item->hold && item->wanted && !item->applied && actuate->actuator->assume)
        actuate->actuator->assume(item->hold, usual);
}

void vh_actuate_because(VhActuate *actuate, const char *why)
{
    g_assert(actuate->in_round);
    actuate->why = why;
}

/* First all that is to be undone, so that no two vCPUs are on one host CPU in between. */
static guint undo_all(VhActuate *actuate, const char *why)
{
    GHashTableIter iter;
    gpointer value = NULL;
    guint undone = 0;

    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;

        if (!item->wanted)
            undone += undo(actuate, item, why && item->why ? item->why : why);
        if (item->named)
            continue;
        g_assert(!item->applied);
        if (item->hold)
            actuate->actuator->forget(item->hold);
        g_hash_table_iter_remove(&iter);
    }
    return undone;
}

/* Returns whether the host CPU turned out to be offline. */
static bool carry_out(VhActuate *actuate, struct item *item, bool quiet)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *reason = NULL;
    g_autofree char *what = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    bool was_applied = item->applied;
    bool drifted = item->drifted;
    union vh_setting was = item->set;
    int result = 0;

    g_assert(actuate->in_round && item->hold && item->wanted);
    result = actuate->actuator->apply(item->hold, &item->wish, &error);
    item->set = item->wish;
    item->drifted = false;
    if (result < 0) {
        undo(actuate, item, error->message);
        item->failed = true;
        item->barred = g_error_matches(error, VH_ERROR, VH_ERROR_REFUSED);
        complain(actuate, item, error);
        return g_error_matches(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    }
    item->applied = true;
    item->since = g_get_monotonic_time();
    item->failed = false;
    item->barred = false;
    g_clear_pointer(&item->problem, g_free);
    if (quiet)
        return false;
    reason = actuate->reason(item->plan_guest, item->plan_vcpu, actuate->reason_data);
    what = vh_actuate_step_name(actuate, "", item->vcpu, item->thread);
    if (!drifted) /* else it is whatever somebody else has made it */
        before =
            was_applied ? actuate->actuator->text(&was) : actuate->actuator->former(item->hold);
    after = actuate->actuator->text(&item->set);
    vh_journal_step(actuate->journal, item->guest, what, reason, before, after);
    return false;
}

/* Looked at by each round, but not more often than is of use. */
static bool has_left(const VhActuate *actuate, struct item *item)
{
    gint64 now = g_get_monotonic_time();

    if (!item->applied || !actuate->actuator->left || now - item->looked < VH_TARGET_LEFT_US)
        return false;
    item->looked = now;
    return actuate->actuator->left(item->hold);
}

guint vh_actuate_end(VhActuate *actuate, const char *why, bool *retry)
{
    GHashTableIter iter;
    gpointer value = NULL;
    guint undone = 0;
    bool offline = false;

    g_assert(actuate->in_round);
    undone = undo_all(actuate, why);
    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;
        bool left = item->wanted && has_left(actuate, item);
        bool settled = false;

        item->drifted = item->drifted || left;
        settled = (item->applied || item->failed) && !item->drifted &&
                  actuate->actuator->same(&item->set, &item->wish);
        if (item->wanted && item->hold && !settled)
            offline = carry_out(actuate, item, !why && !left) || offline;
    }
    actuate->in_round = false;
    if (retry)
        *retry = offline;
    return undone;
}

void vh_actuate_forgive(VhActuate *actuate)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_assert(!actuate->in_round);
    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;

        item->failed = false;
        /* The kernel widens the mask of a thread whose last CPU goes offline. */
        item->drifted = item->applied && !actuate->actuator->stands(item->hold, &item->set);
        if (item->hold && !item->applied && actuate->actuator->complete)
            actuate->actuator->complete(item->hold);
    }
}

bool vh_actuate_check(VhActuate *actuate, const char *guest)
{
    GHashTableIter iter;
    gpointer value = NULL;
    bool drifted = false;

    g_assert(!actuate->in_round);
    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;

        if (!item->applied || !g_str_equal(item->guest, guest))
            continue;
        item->drifted = item->drifted || !actuate->actuator->stands(item->hold, &item->set);
        drifted = drifted || item->drifted;
    }
    return drifted;
}

void vh_actuate_yield(VhActuate *actuate, pid_t thread)
{
    struct item *item = vh_actuate_find(actuate, thread);
    uint64_t start = 0;

    g_assert(!actuate->in_round);
    /* No round has named it yet. */
    if (!item && vh_tid_start(thread, &start) == 0)
        vh_saved_free_slot(actuate->saved, vh_saved_claim(actuate->saved, thread, start));
    if (!item)
        return;
    if (item->hold)
        actuate->actuator->forget(item->hold);
    g_hash_table_remove(actuate->items, GINT_TO_POINTER(thread));
}
