// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the policy in force and watches its files.
#include "policy/store.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CHANGES (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

struct VhPolicyStore {
    char *main;
    char *directory;
    char *program_dir;
    const struct vh_policy_store_funcs *funcs;
    gpointer data;
    VhPolicy *policy;
    GPtrArray *problems; /* char * */
    GCancellable *alive;
    bool reading;
    bool read_again; /* something changed since the reading began */
    int inotify;     /* -1: none */
    guint source;
    int main_watch, directory_watch;
    guint timer;
};

/* One reading, in a thread. */
struct reading {
    char *main;
    char *directory;
    char *program_dir;
    GPtrArray *problems;
    VhPolicy *policy;
};

static void reading_free(gpointer data)
{
    struct reading *reading = data;

    g_free(reading->main);
    g_free(reading->directory);
    g_free(reading->program_dir);
    g_ptr_array_unref(reading->problems);
    g_clear_pointer(&reading->policy, vh_policy_unref);
    g_free(reading);
}

static struct reading *reading_new(const VhPolicyStore *store)
{
    struct reading *reading = g_new0(struct reading, 1);

    reading->main = g_strdup(store->main);
    reading->directory = g_strdup(store->directory);
    reading->program_dir = g_strdup(store->program_dir);
    reading->problems = g_ptr_array_new_with_free_func(g_free);
    return reading;
}

static void do_read(struct reading *reading)
{
    const struct vh_policy_place place = {.main = reading->main,
                                          .directory = reading->directory,
                                          .program_dir = reading->program_dir};

    reading->policy = vh_policy_load(&place, reading->problems);
}

static void take(VhPolicyStore *store, struct reading *reading)
{
    g_ptr_array_unref(store->problems);
    store->problems = g_ptr_array_ref(reading->problems);
    if (!reading->policy) {
        store->funcs->refused(store->problems, store->data);
        return;
    }
    if (store->policy)
        vh_policy_unref(store->policy);
    store->policy = g_steal_pointer(&reading->policy);
    store->funcs->changed(store->data);
}

static void in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    do_read(data);
    g_task_return_boolean(task, TRUE);
}

static void on_read(GObject *source, GAsyncResult *result, gpointer data)
{
    struct reading *reading = g_task_get_task_data(G_TASK(result));
    VhPolicyStore *store = data;

    (void)source;
    /* Cancelled: the store is gone. */
    if (!g_task_propagate_boolean(G_TASK(result), NULL))
        return;
    store->reading = false;
    /* What was read may be half of what was being written. */
    if (store->read_again)
        vh_policy_store_reload(store);
    else
        take(store, reading);
}

void vh_policy_store_reload(VhPolicyStore *store)
{
    g_autoptr(GTask) task = NULL;

    store->read_again = store->reading;
    if (store->reading)
        return;
    store->reading = true;
    task = g_task_new(NULL, store->alive, on_read, store);
    g_task_set_task_data(task, reading_new(store), reading_free);
    g_task_run_in_thread(task, in_thread);
}

/* ---- the files ---- */

static gboolean on_quiet(gpointer data)
{
    VhPolicyStore *store = data;

    store->timer = 0;
    vh_policy_store_reload(store);
    return G_SOURCE_REMOVE;
}

/* The directory may not be there yet, or be there anew; adding a watch twice is one watch. */
static void watch_directory(VhPolicyStore *store)
{
    store->directory_watch = inotify_add_watch(store->inotify, store->directory, CHANGES);
}

/* Is it about a file of ours? */
static bool concerns(const VhPolicyStore *store, const struct inotify_event *event)
{
    g_autofree char *main_name = g_path_get_basename(store->main);
    g_autofree char *directory_name = g_path_get_basename(store->directory);

    if (event->mask & IN_Q_OVERFLOW)
        return true;
    if (!event->len)
        return false;
    if (event->wd == store->directory_watch && g_str_has_suffix(event->name, ".conf") &&
        *event->name != '.')
        return true;
    return event->wd == store->main_watch &&
           (g_str_equal(event->name, main_name) || g_str_equal(event->name, directory_name));
}

static gboolean on_inotify(gint fd, GIOCondition condition, gpointer data)
{
    VhPolicyStore *store = data;
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool ours = false;
    ssize_t len = 0;

    (void)condition;
    while ((len = read(fd, buffer, sizeof(buffer))) > 0) {
        for (char *at = buffer; at < buffer + len;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;

            ours = ours || concerns(store, event);
            at += sizeof(*event) + event->len;
        }
    }
    if (!ours)
        return G_SOURCE_CONTINUE;
    watch_directory(store);
    g_clear_handle_id(&store->timer, g_source_remove);
    store->timer = g_timeout_add(VH_POLICY_QUIET_MS, on_quiet, store);
    return G_SOURCE_CONTINUE;
}

static void watch_files(VhPolicyStore *store)
{
    g_autofree char *directory = g_path_get_dirname(store->main);

    store->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (store->inotify < 0) {
        g_warning("changes of the policy files will not be noticed (inotify: %s): send SIGHUP "
                  "after each change",
                  g_strerror(errno));
        return;
    }
    store->main_watch = inotify_add_watch(store->inotify, directory, CHANGES);
    watch_directory(store);
    store->source = g_unix_fd_add(store->inotify, G_IO_IN, on_inotify, store);
}

/* ---- the store ---- */

static VhPolicy *empty_policy(void)
{
    const struct vh_policy_world nothing = {0};
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    return vh_policy_parse(NULL, 0, &nothing, problems);
}

VhPolicyStore *vh_policy_store_new(const struct vh_policy_place *place,
                                   const struct vh_policy_store_funcs *funcs, gpointer data)
{
    VhPolicyStore *store = g_new0(VhPolicyStore, 1);
    struct reading *reading = NULL;

    store->main = g_strdup(place->main);
    store->directory = g_strdup(place->directory);
    store->program_dir = g_strdup(place->program_dir);
    store->funcs = funcs;
    store->data = data;
    store->problems = g_ptr_array_new_with_free_func(g_free);
    store->alive = g_cancellable_new();
    store->policy = empty_policy();
    /* Watched first, so that no change falls in between. */
    watch_files(store);
    reading = reading_new(store);
    do_read(reading);
    take(store, reading);
    reading_free(reading);
    return store;
}

void vh_policy_store_free(VhPolicyStore *store)
{
    if (!store)
        return;
    g_cancellable_cancel(store->alive);
    g_object_unref(store->alive);
    g_clear_handle_id(&store->timer, g_source_remove);
    g_clear_handle_id(&store->source, g_source_remove);
    if (store->inotify >= 0)
        close(store->inotify);
    vh_policy_unref(store->policy);
    g_ptr_array_unref(store->problems);
    g_free(store->main);
    g_free(store->directory);
    g_free(store->program_dir);
    g_free(store);
}

VhPolicy *vh_policy_store_get(const VhPolicyStore *store)
{
    return store->policy;
}

const GPtrArray *vh_policy_store_problems(const VhPolicyStore *store)
{
    return store->problems;
}
