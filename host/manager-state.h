/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manager's inside, for its own files manager*.c only. */
#pragma once

#include "inventory.h"
#include "manager.h"
#include "pathwatch.h"
#include "round.h"

#define VH_MANAGER_INVENTORIES 2

struct VhManager {
    const VhConfig *config;
    VhJournal *journal;
    VhSaved *saved;
    VhPathWatch *path_watch;
    VhPolicyStore *policy;
    VhRound *round;
    GPtrArray *entries; /* struct vh_entry, the older first */
    VhInventory *inventories[VH_MANAGER_INVENTORIES];
    GPtrArray *watchers; /* struct watcher, of manager-watch.c */
    guint last_watcher;
    bool closing; /* no guest is taken any more */
};

/* NULL and VH_ERROR_NO_SUCH_GUEST. */
struct vh_entry *vh_manager_find(const VhManager *manager, const char *guest, GError **error);

/* Looks over the threads of all guests. */
void vh_manager_refresh_threads(const VhManager *manager);

/* Frees what manager-watch.c keeps in `watchers`. */
void vh_manager_watcher_free(gpointer watcher);
/* For struct vh_guest_funcs. */
bool vh_manager_is_watched(VhGuest *guest, gpointer manager);
void vh_manager_tell(VhGuest *guest, const GString *line, gpointer manager);
