// SPDX-License-Identifier: GPL-2.0-or-later
// Waits for paths to appear with one inotify descriptor.
#include "io/pathwatch.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define DIRECTORY_EVENTS \
    (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | \
     IN_EXCL_UNLINK)

struct entry {
    guint id;
    char *path;
    char *nearest; /* the path, or the directory above it, that is to appear in the watched
                      directory */
    char *awaited; /* its last component */
    int wd;        /* -1: none */
    VhPathFunc func;
    gpointer data;
};

struct VhPathWatch {
    int fd;
    guint source;
    guint last_id;
    GPtrArray *entries; /* struct entry */
};

static void entry_free(gpointer data)
{
    struct entry *entry = data;

    g_free(entry->path);
    g_free(entry->nearest);
    g_free(entry->awaited);
    g_free(entry);
}

static bool wd_used(const VhPathWatch *watch, int wd)
{
    for (guint i = 0; i < watch->entries->len; i++) {
        const struct entry *entry = g_ptr_array_index(watch->entries, i);

        if (entry->wd == wd)
            return true;
    }
    return false;
}

static void disarm(VhPathWatch *watch, struct entry *entry)
{
    int wd = entry->wd;

    entry->wd = -1;
    if (wd >= 0 && !wd_used(watch, wd))
        inotify_rm_watch(watch->fd, wd);
}

/* Watches the nearest directory above entry->path that exists, and awaits the component below it.
 */
static void arm_nearest(VhPathWatch *watch, struct entry *entry)
{
    g_autofree char *path = g_strdup(entry->path);

    for (;;) {
        g_autofree char *dir = g_path_get_dirname(path);

        entry->wd = inotify_add_watch(watch->fd, dir, DIRECTORY_EVENTS);
        if (entry->wd >= 0)
            break;
        if ((errno != ENOENT && errno != ENOTDIR) || g_str_equal(dir, "/")) {
            g_warning("vhintd cannot see when %s appears: %s", entry->path, g_strerror(errno));
            break;
        }
        g_free(path);
        path = g_steal_pointer(&dir);
    }
    g_free(entry->awaited);
    entry->awaited = g_path_get_basename(path);
    g_free(entry->nearest);
    entry->nearest = g_steal_pointer(&path);
}

/* A directory may have appeared below the watched one before the watch stood, so this looks again.
 */
static void arm(VhPathWatch *watch, struct entry *entry)
{
    do {
        disarm(watch, entry);
        arm_nearest(watch, entry);
    } while (entry->wd >= 0 && !g_str_equal(entry->nearest, entry->path) &&
             g_file_test(entry->nearest, G_FILE_TEST_IS_DIR));
}

static struct entry *find(const VhPathWatch *watch, guint id, guint *index)
{
    for (guint i = 0; i < watch->entries->len; i++) {
        struct entry *entry = g_ptr_array_index(watch->entries, i);

        if (entry->id == id) {
            if (index)
                *index = i;
            return entry;
        }
    }
    return NULL;
}

static bool concerns(const struct entry *entry, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return true;
    if (entry->wd != event->wd)
        return false;
    return event->len == 0 || g_str_equal(event->name, entry->awaited);
}

/* Reports one event. Functions called may add and remove entries, so the ids are gathered first. */
static void report(VhPathWatch *watch, const struct inotify_event *event)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(guint));

    for (guint i = 0; i < watch->entries->len; i++) {
        const struct entry *entry = g_ptr_array_index(watch->entries, i);

        if (concerns(entry, event))
            g_array_append_val(ids, entry->id);
    }
    for (guint i = 0; i < ids->len; i++) {
        struct entry *entry = find(watch, g_array_index(ids, guint, i), NULL);

        if (!entry)
            continue;
        if (event->mask & IN_IGNORED)
            entry->wd = -1;
        arm(watch, entry);
        entry->func(entry->data);
    }
}

static gboolean on_events(gint fd, GIOCondition condition, gpointer data)
{
    VhPathWatch *watch = data;
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t len = read(fd, buffer, sizeof(buffer));

    (void)condition;
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *)(buffer + at);

        at += (ssize_t)(sizeof(*event) + event->len);
        report(watch, event);
    }
    return G_SOURCE_CONTINUE;
}

VhPathWatch *vh_path_watch_new(GError **error)
{
    VhPathWatch *watch = NULL;
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "inotify: %s (see fs.inotify.max_user_instances)", g_strerror(errno));
        return NULL;
    }
    watch = g_new0(VhPathWatch, 1);
    watch->fd = fd;
    watch->entries = g_ptr_array_new_with_free_func(entry_free);
    watch->source = g_unix_fd_add(fd, G_IO_IN, on_events, watch);
    return watch;
}

void vh_path_watch_free(VhPathWatch *watch)
{
    if (!watch)
        return;
    g_source_remove(watch->source);
    g_ptr_array_unref(watch->entries);
    close(watch->fd);
    g_free(watch);
}

guint vh_path_watch_add(VhPathWatch *watch, const char *path, VhPathFunc func, gpointer data)
{
    struct entry *entry = g_new0(struct entry, 1);

    entry->id = ++watch->last_id;
    entry->path = g_strdup(path);
    entry->wd = -1;
    entry->func = func;
    entry->data = data;
    g_ptr_array_add(watch->entries, entry);
    arm(watch, entry);
    return entry->id;
}

void vh_path_watch_remove(VhPathWatch *watch, guint id)
{
    guint index = 0;
    struct entry *entry = find(watch, id, &index);

    if (!entry)
        return;
    disarm(watch, entry);
    g_ptr_array_remove_index_fast(watch->entries, index);
}
