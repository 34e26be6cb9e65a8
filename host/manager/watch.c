// SPDX-License-Identifier: GPL-2.0-or-later
// Watches: who wants to see hints as they come.
#include "manager/state.h"

struct watcher {
    guint id;
    char *guest; /* "": all */
    VhWatchFunc func;
    gpointer data;
};

bool vh_manager_is_watched(VhGuest *guest, gpointer data)
{
    const VhManager *manager = ((const struct vh_entry *)data)->manager;

    (void)guest;
    return manager->watchers->len > 0;
}

void vh_manager_tell(VhGuest *guest, const GString *line, gpointer data)
{
    VhManager *manager = ((const struct vh_entry *)data)->manager;
    const char *name = vh_guest_config(guest)->name;

    /* From the last to the first: a function may remove its own watch. */
    for (guint i = manager->watchers->len; i > 0; i--) {
        const struct watcher *watcher = NULL;

        if (i > manager->watchers->len)
            continue;
        watcher = g_ptr_array_index(manager->watchers, i - 1);
        if (!*watcher->guest || g_str_equal(watcher->guest, name))
            watcher->func(line->str, line->len, watcher->data);
    }
}

void vh_manager_watcher_free(gpointer data)
{
    struct watcher *watcher = data;

    g_free(watcher->guest);
    g_free(watcher);
}

guint vh_manager_watch(VhManager *manager, const char *guest, VhWatchFunc func, gpointer data,
                       GError **error)
{
    struct watcher *watcher = NULL;

    if (*guest && !vh_manager_find(manager, guest, error))
        return 0;
    watcher = g_new0(struct watcher, 1);
    watcher->id = ++manager->last_watcher;
    watcher->guest = g_strdup(guest);
    watcher->func = func;
    watcher->data = data;
    g_ptr_array_add(manager->watchers, watcher);
    return watcher->id;
}

void vh_manager_unwatch(VhManager *manager, guint id)
{
    for (guint i = 0; i < manager->watchers->len; i++) {
        if (((const struct watcher *)g_ptr_array_index(manager->watchers, i))->id != id)
            continue;
        g_ptr_array_remove_index(manager->watchers, i);
        return;
    }
}
