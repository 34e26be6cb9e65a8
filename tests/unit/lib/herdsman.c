/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/herdsman.h"

#include "lib/loop.h"

static void on_injected(G_GNUC_UNUSED VhGuest *guest, gpointer entry)
{
    vh_manager_note_travel(entry);
}

static const struct vh_guest_funcs guest_funcs = {.changed = vh_manager_on_changed,
                                                  .shown = vh_manager_on_shown,
                                                  .injected = on_injected,
                                                  .watched = vh_manager_is_watched,
                                                  .watch = vh_manager_tell};

static void on_turn_end(gpointer data)
{
    vh_manager_adopt_look(data);
    vh_manager_run_due(data);
}

/* What it manages is the herd's. */
static void take(struct herdsman *f)
{
    f->manager.journal = f->herd.journal;
    f->manager.saved = f->herd.saved;
    f->manager.policy = f->herd.policy;
    f->manager.round = f->herd.round;
    f->manager.entries = f->herd.entries;
}

void herdsman_begin(struct herdsman *f, gconstpointer policy)
{
    g_autoptr(GError) error = NULL;

    f->herd.manager = &f->manager;
    f->herd.funcs = &guest_funcs;
    herd_begin(&f->herd, policy ? policy : "");
    f->manager.config = &f->config;
    f->manager.host = g_strdup("here");
    f->manager.watchers = g_ptr_array_new_with_free_func(vh_manager_watcher_free);
    f->manager.turn = vh_turn_new(&error);
    g_assert_no_error(error);
    vh_turn_set_end(f->manager.turn, on_turn_end, &f->manager);
    take(f);
}

void herdsman_end(struct herdsman *f, G_GNUC_UNUSED gconstpointer data)
{
    g_clear_handle_id(&f->manager.adopt_timer, g_source_remove);
    herd_end(&f->herd);
    vh_turn_free(f->manager.turn);
    g_ptr_array_unref(f->manager.watchers);
    g_free(f->manager.host);
}

void herdsman_replace(struct herdsman *f)
{
    herd_replace(&f->herd);
    take(f);
}

void herdsman_wait(struct herdsman *f, guint64 rounds)
{
    LOOP_UNTIL(f->manager.rounds >= rounds);
}

struct vh_config_guest *herdsman_config(const struct vh_entry *entry)
{
    return (struct vh_config_guest *)vh_guest_config(entry->guest);
}
