// SPDX-License-Identifier: GPL-2.0-or-later
// Carries plans out, one actuator's actions per thread.
#include "act/state.h"

#include <string.h>

#include "act/orphans.h"
#include "base/error.h"

char *vh_actuate_step_name(const VhActuate *actuate, const char *verb,
                           const struct vh_target_key *key)
{
    const char *name = actuate->actuator->name;

    switch (key->kind) {
    case VH_TARGET_VCPU:
        return g_strdup_printf("%s%s vCPU %u", verb, name, key->id);
    case VH_TARGET_EMULATOR:
        return g_strdup_printf("%s%s emulator, thread %u", verb, name, key->id);
    case VH_TARGET_IOTHREAD:
        return g_strdup_printf("%s%s IOThread, thread %u", verb, name, key->id);
    case VH_TARGET_VHOST:
        return g_strdup_printf("%s%s vhost worker, thread %u", verb, name, key->id);
    case VH_TARGET_MEMORY:
        return g_strdup_printf("%s%s", name, *verb ? " back" : "");
    default: /* of a file that somebody else has written */
        return g_strdup_printf("%s%s", verb, name);
    }
}

/* QEMU's other threads come and go as they please. */
static bool came_and_went(const struct item *item, const GError *error)
{
    return item->target.key.kind != VH_TARGET_VCPU &&
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
    if (item->applied || item->problem)
        vh_items_changed(actuate, item);
    if (!item->starved)
        g_clear_pointer(&item->problem, g_free);
    if (!item->applied)
        return false;
    g_assert(item->hold);
    after = g_strdup(vh_items_former(actuate, item));
    vh_items_forget_former(item);
    item->applied = false;
    if (actuate->actuator->revert(item->hold, &error) < 0) {
        if (came_and_went(item, error))
            return false;
        item->problem = g_strdup(error->message);
        why = error->message;
    }
    if (!why)
        return true;
    what = vh_actuate_step_name(actuate, "un", &item->target.key);
    before = actuate->actuator->text(&item->set);
    vh_journal_change(actuate->journal, item->target.key.guest, what, why, before,
                      error ? NULL : after);
    return true;
}

void vh_actuate_free(VhActuate *actuate, const char *why)
{
    if (!actuate)
        return;
    vh_actuate_begin(actuate, NULL, NULL);
    vh_actuate_end(actuate, why, NULL);
    vh_actuate_dispose(actuate);
}

VhActuate *vh_actuate_make(VhSaved *saved, VhJournal *journal, const struct vh_actuator *actuator)
{
    VhActuate *actuate = g_new0(VhActuate, 1);

    actuate->saved = saved;
    actuate->journal = journal;
    actuate->actuator = actuator;
    actuate->items = g_hash_table_new_full(vh_target_hash, vh_target_equal, NULL, vh_items_free);
    actuate->things = g_hash_table_new(NULL, NULL);
    actuate->displaced = g_ptr_array_new();
    return actuate;
}

void vh_actuate_dispose(VhActuate *actuate)
{
    g_assert(!actuate->displaced->len);
    g_hash_table_unref(actuate->items);
    g_hash_table_unref(actuate->things);
    g_ptr_array_unref(actuate->displaced);
    g_free(actuate);
}

void vh_actuate_tell(VhActuate *actuate, void (*func)(const char *guest, gpointer data),
                     gpointer data)
{
    actuate->tell = func;
    actuate->tell_data = data;
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
    g_autofree char *what = vh_actuate_step_name(actuate, "", &item->target.key);

    if (came_and_went(item, error))
        return;
    g_free(item->problem);
    item->problem = g_strdup(error->message);
    vh_items_changed(actuate, item);
    vh_journal_change(actuate->journal, item->target.key.guest, what, error->message, NULL, NULL);
}

static unsigned rank(const struct item *item)
{
    return vh_maker_rank(item->target.key.kind, item->target.on.process, item->target.on.thread);
}

/* Whose the new thread has what is in force, of several of its guest's the likeliest to have made
 * it: they may have had different masks. NULL: nobody's. */
static const struct item *maker_of(const VhActuate *actuate, const struct item *item)
{
    GHashTableIter iter;
    gpointer value = NULL;
    const struct item *found = NULL;

    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const struct item *maker = value;

        if (maker->applied && g_str_equal(maker->target.key.guest, item->target.key.guest) &&
            (!found || rank(maker) > rank(found)) &&
            actuate->actuator->stands(item->hold, &maker->set))
            found = maker;
    }
    return found;
}

/* It counts as changed if it has inherited that. */
static void adopt(VhActuate *actuate, struct item *item)
{
    const struct item *maker = NULL;

    if (!item->hold || item->applied || !actuate->actuator->adopt)
        return;
    maker = maker_of(actuate, item);
    if (!maker)
        return;
    actuate->actuator->adopt(item->hold, maker->hold);
    item->applied = true;
    item->set = maker->set;
}

static struct item *learn(VhActuate *actuate, const struct vh_target *target)
{
    g_autoptr(GError) error = NULL;
    struct item *item = vh_items_add(actuate, target);

    item->hold = actuate->actuator->probe(actuate->saved, target, &error);
    g_assert((item->hold == NULL) == (error != NULL));
    item->starved = !item->hold && g_error_matches(error, VH_ERROR, VH_ERROR_BUSY);
    if (!item->hold)
        complain(actuate, item, error);
    else if (actuate->actuator->found)
        item->applied = actuate->actuator->found(item->hold, &item->set);
    adopt(actuate, item);
    item->since = g_get_monotonic_time();
    if (item->applied)
        vh_items_changed(actuate, item);
    return item;
}

void vh_actuate_take_over(VhActuate *actuate, const struct vh_target *target)
{
    g_assert(!actuate->in_round);
    if (!vh_items_find(actuate, &target->key) && vh_saved_is_left(actuate->saved, &target->on))
        learn(actuate, target);
}

/* Others may have given theirs back. */
static void probe_again(VhActuate *actuate, struct item *item, const struct vh_target *target)
{
    item->hold = actuate->actuator->probe(actuate->saved, target, NULL);
    item->starved = actuate->out = !item->hold;
    if (item->hold)
        g_clear_pointer(&item->problem, g_free);
    vh_items_changed(actuate, item);
}

void vh_actuate_want(VhActuate *actuate, const struct vh_target *target,
                     const union vh_setting *setting, gconstpointer cause)
{
    struct item *item = vh_items_claim(actuate, target);

    g_assert(actuate->in_round);
    g_assert(!setting || actuate->reason);
    if (!item)
        item = learn(actuate, target);
    else if (item->starved && !actuate->out)
        probe_again(actuate, item, target);
    item->named = true;
    item->cause = cause;
    item->wanted = setting != NULL;
    item->why = actuate->why;
    if (setting)
        item->wish = *setting;
}

void vh_actuate_assume(VhActuate *actuate, const struct vh_target_key *key,
                       const struct vh_cpuset *usual)
{
    const struct item *item = vh_items_find(actuate, key);

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

    for (guint i = 0; i < actuate->displaced->len; i++) {
        struct item *item = g_ptr_array_index(actuate->displaced, i);

        undone += undo(actuate, item, why);
        vh_items_let_go(actuate, item);
        vh_items_free(item);
    }
    g_ptr_array_set_size(actuate->displaced, 0);
    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;

        if (!item->wanted)
            undone += undo(actuate, item, why && item->why ? item->why : why);
        if (item->named)
            continue;
        g_assert(!item->applied);
        vh_items_let_go(actuate, item);
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
    vh_items_changed(actuate, item);
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
    vh_items_forget_former(item);
    item->since = g_get_monotonic_time();
    item->failed = false;
    item->barred = false;
    g_clear_pointer(&item->problem, g_free);
    if (quiet)
        return false;
    reason = actuate->reason(&item->target, item->cause, actuate->reason_data);
    what = vh_actuate_step_name(actuate, "", &item->target.key);
    if (!drifted) /* else it is whatever somebody else has made it */
        before =
            was_applied ? actuate->actuator->text(&was) : g_strdup(vh_items_former(actuate, item));
    after = actuate->actuator->text(&item->set);
    vh_journal_change(actuate->journal, item->target.key.guest, what, reason, before, after);
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

        if (!item->applied || !g_str_equal(item->target.key.guest, guest))
            continue;
        item->drifted = item->drifted || !actuate->actuator->stands(item->hold, &item->set);
        drifted = drifted || item->drifted;
    }
    return drifted;
}

void vh_actuate_yield(VhActuate *actuate, const struct vh_target *target)
{
    struct item *item = vh_items_find(actuate, &target->key);

    g_assert(!actuate->in_round);
    if (item)
        vh_items_remove(actuate, item);
    else /* no round has named it yet */
        vh_saved_free_slot(actuate->saved, vh_saved_claim(actuate->saved, &target->on));
}
