// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps one watch of the manager for each pipe that is open, and as many pipes as are allowed.
#include "control/watches.h"

#include <unistd.h>

#include "control/watch.h"

struct VhWatches {
    VhManager *manager;
    GPtrArray *watchers; /* struct watcher */
};

struct watcher {
    VhWatches *watches;
    VhWatch *watch;
    guint number; /* the manager's */
};

static void watcher_free(struct watcher *watcher)
{
    if (watcher->number != 0)
        vh_manager_unwatch(watcher->watches->manager, watcher->number);
    vh_watch_free(watcher->watch);
    g_free(watcher);
}

static void on_closed(G_GNUC_UNUSED VhWatch *watch, gpointer data)
{
    struct watcher *watcher = data;

    g_ptr_array_remove_fast(watcher->watches->watchers, watcher);
}

static void on_hint(const char *line, gsize len, gpointer data)
{
    vh_watch_line(((struct watcher *)data)->watch, line, len);
}

VhWatches *vh_watches_new(VhManager *manager)
{
    VhWatches *watches = g_new0(VhWatches, 1);

    watches->manager = manager;
    watches->watchers = g_ptr_array_new_with_free_func((GDestroyNotify)watcher_free);
    return watches;
}

void vh_watches_free(VhWatches *watches)
{
    g_ptr_array_unref(watches->watchers);
    g_free(watches);
}

int vh_watches_open(VhWatches *watches, const char *guest, GError **error)
{
    struct watcher *watcher = NULL;
    int fd = -1;

    if (watches->watchers->len >= VH_CONTROL_WATCHES_MAX) {
        g_set_error(error, VH_ERROR, VH_ERROR_BUSY,
                    "there are %u watches already, which is the limit: end one",
                    watches->watchers->len);
        return -1;
    }
    watcher = g_new0(struct watcher, 1);
    watcher->watches = watches;
    watcher->watch = vh_watch_new(on_closed, watcher, &fd, error);
    if (!watcher->watch) {
        g_free(watcher);
        return -1;
    }
    watcher->number = vh_manager_watch(watches->manager, guest, on_hint, watcher, error);
    if (!watcher->number) {
        watcher_free(watcher);
        close(fd);
        return -1;
    }
    g_ptr_array_add(watches->watchers, watcher);
    return fd;
}
