/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manager's inside, for the files of this folder only. */
#pragma once

#include "act/warden.h"
#include "inventory/inventory.h"
#include "io/pathwatch.h"
#include "manager/manager.h"
#include "round/round.h"

#define VH_MANAGER_INVENTORIES 2

struct VhManager {
    const VhConfig *config;
    char *host; /* what we are called where guests come from and go to */
    VhJournal *journal;
    VhSaved *saved;
    VhWarden *warden;
    VhPathWatch *path_watch;
    VhTurn *turn;
    VhScratch *scratch;
    VhPolicyStore *policy;
    VhRound *round;
    VhOffloads *offloads;  /* NULL: there are none */
    char *offload_problem; /* why; NULL: there are */
    guint offload_timer;   /* of offloads.c; 0: nothing is waited for */
    char *saved_path;      /* of the file of former states */
    GPtrArray *entries;    /* struct vh_entry, the older first */
    VhInventory *inventories[VH_MANAGER_INVENTORIES];
    GPtrArray *watchers; /* struct watcher, of watch.c */
    GPtrArray *attempts; /* struct attempt, of bootstrap.c */
    guint last_watcher;
    bool reloading; /* the service manager waits for the end of it */
    bool closing;   /* no guest is taken any more */
    gint64 handing; /* until this monotonic time the next end is a handover; 0: it is not */

    guint adopt_timer; /* of adopt.c; 0: no guest is waited for */

    /* due.c */
    guint told_guests, told_connected;
    guint changed;      /* entries that have a why: a round is due */
    bool hurried;       /* and somebody is who does not flood */
    const char *why;    /* the latest */
    gint64 round_ended; /* us of the monotonic clock */
    gint64 round_cost;  /* us */
    guint64 rounds;     /* so far */
    gint64 rounds_us;   /* what they took */
};

/* ---- state.c ---- */

/* NULL and VH_ERROR_NO_SUCH_GUEST. */
struct vh_entry *vh_manager_find(const VhManager *manager, const char *guest, GError **error);

/* Looks over the threads of all guests. */
void vh_manager_refresh_threads(const VhManager *manager);

/* ---- offloads.c ---- */

/* If policy lets any guest have them. Once there is a policy, and a round. */
void vh_manager_open_offloads(VhManager *manager);
/* Takes them away, or leaves them for the next vhintd. */
void vh_manager_close_offloads(VhManager *manager, bool leave);

/* ---- due.c ---- */

/* For struct vh_guest_funcs: the guest's data is its struct vh_entry. */
void vh_manager_on_changed(VhGuest *guest, const char *why, gpointer entry);
void vh_manager_on_shown(VhGuest *guest, gpointer entry);
/* At the end of a turn: makes the round that has become due in it, now or once it may be made. */
void vh_manager_run_due(VhManager *manager);

/* ---- bootstrap.c ---- */

/* Ends every attempt, with an error to whoever waits. */
void vh_manager_give_up(VhManager *manager);

/* ---- adopt.c ---- */

/* Once the inventories have started. */
void vh_manager_adopt_begin(VhManager *manager);
/* Something has changed: has a guest said what holds that was waited for? */
void vh_manager_adopt_look(VhManager *manager);

/* ---- travel.c ---- */

/* Takes over what the guest brings along; before its policy. */
void vh_manager_take_travel(struct vh_entry *entry);
/* What goes with it may have changed. */
void vh_manager_note_travel(struct vh_entry *entry);

/* ---- watch.c ---- */

/* Frees what watch.c keeps in `watchers`. */
void vh_manager_watcher_free(gpointer watcher);
/* For struct vh_guest_funcs. */
bool vh_manager_is_watched(VhGuest *guest, gpointer entry);
void vh_manager_tell(VhGuest *guest, const GString *line, gpointer entry);
