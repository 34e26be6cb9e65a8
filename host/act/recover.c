// SPDX-License-Identifier: GPL-2.0-or-later
// What a former daemon left is put back or kept, and what is left to the next.
#include "act/orphans.h"
#include "act/state.h"

static void on_orphan(const char *guest, pid_t thread, gpointer data)
{
    VhActuate *actuate = data;
    const struct vh_target_key key = {guest, VH_TARGET_EMULATOR, (unsigned)thread};
    g_autofree char *what = vh_actuate_step_name(actuate, "un", &key);

    vh_journal_step(actuate->journal, guest, what,
                    "inherited from a thread that a dead daemon had changed", NULL, NULL);
}

static void recover(VhActuate *actuate, struct vh_saved_slot *slot)
{
    g_autoptr(GError) error = NULL;
    const struct vh_target_key key = vh_saved_key(slot);
    g_autofree char *what = vh_actuate_step_name(actuate, "un", &key);
    g_autofree char *guest = g_strdup(key.guest);
    int result = actuate->actuator->recover(actuate->saved, slot, &error);

    if (result < 0)
        vh_journal_step(actuate->journal, guest, what, error->message, NULL, NULL);
    else if (result == 0)
        vh_journal_step(actuate->journal, guest, what, "left by a daemon that died", NULL, NULL);
}

static void recover_orphans(VhActuate *actuate)
{
    VhOrphans *orphans = vh_orphans_new(actuate->saved);

    vh_orphans_put_back(orphans, on_orphan, actuate);
    vh_orphans_free(orphans);
}

VhActuate *vh_actuate_new_adopting(VhSaved *saved, VhJournal *journal,
                                   const struct vh_actuator *actuator)
{
    VhActuate *actuate = vh_actuate_make(saved, journal, actuator);

    if (actuator->adopt)
        recover_orphans(actuate);
    return actuate;
}

VhActuate *vh_actuate_new(VhSaved *saved, VhJournal *journal, const struct vh_actuator *actuator)
{
    VhActuate *actuate = vh_actuate_new_adopting(saved, journal, actuator);
    struct vh_saved_slot *slot = NULL;

    while ((slot = vh_saved_next(saved, actuator->saved, slot)))
        recover(actuate, slot);
    return actuate;
}

bool vh_actuate_is_left(const VhActuate *actuate, const struct vh_target *target)
{
    return vh_saved_is_left(actuate->saved, &target->on);
}

bool vh_actuate_put_back(VhActuate *actuate, struct vh_saved_slot *slot)
{
    g_assert(!actuate->in_round);
    if (!vh_saved_is_left_slot(actuate->saved, slot))
        return false;
    recover(actuate, slot);
    return true;
}

void vh_actuate_adopted(VhActuate *actuate)
{
    struct vh_saved_slot *slot = NULL;

    g_assert(!actuate->in_round);
    while ((slot = vh_saved_next_left(actuate->saved, slot)))
        recover(actuate, slot);
}

void vh_actuate_leave(VhActuate *actuate)
{
    GHashTableIter iter;
    gpointer value = NULL;

    g_assert(!actuate->in_round && actuate->actuator->leave);
    g_hash_table_iter_init(&iter, actuate->items);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct item *item = value;

        if (item->hold)
            actuate->actuator->leave(g_steal_pointer(&item->hold));
    }
    vh_actuate_dispose(actuate);
}
