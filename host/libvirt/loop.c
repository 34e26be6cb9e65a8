// SPDX-License-Identifier: GPL-2.0-or-later
// Runs libvirt's handles and timeouts as sources of a private GMainContext.
//
// Source: libvirt's reference of virEventRegisterImpl. The functions are called from any thread;
// the callbacks are only ever called on the loop's thread, and so are the functions that free their
// data: never from within a removal, and never while a callback of the same watch runs.
#include "libvirt/loop.h"

#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static GMainContext *context;
static GMutex lock; /* guards all below, and every watch's fields */
static GHashTable *watches;
static int last_id;

/* A handle (fd >= 0) or a timeout. */
struct watch {
    int id;
    int fd;
    bool removed;
    GSource *source; /* NULL: off for now */
    virEventHandleCallback on_handle;
    virEventTimeoutCallback on_timeout;
    void *opaque;
    virFreeCallback free;
};

/* libvirt's word for what may be the matter with a descriptor, and GLib's. */
static const struct {
    int event;
    GIOCondition condition;
} words[] = {
    {VIR_EVENT_HANDLE_READABLE, G_IO_IN},
    {VIR_EVENT_HANDLE_WRITABLE, G_IO_OUT},
    {VIR_EVENT_HANDLE_ERROR, G_IO_ERR | G_IO_NVAL},
    {VIR_EVENT_HANDLE_HANGUP, G_IO_HUP},
};

static GIOCondition condition_of(int events)
{
    GIOCondition condition = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        condition |= events & words[i].event ? words[i].condition : 0;
    return condition;
}

static int events_of(GIOCondition condition)
{
    int events = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        events |= condition & words[i].condition ? words[i].event : 0;
    return events;
}

static bool is_removed(const struct watch *watch)
{
    bool removed;

    g_mutex_lock(&lock);
    removed = watch->removed;
    g_mutex_unlock(&lock);
    return removed;
}

static gboolean on_fd(gint fd, GIOCondition condition, gpointer data)
{
    struct watch *watch = data;

    if (!is_removed(watch))
        watch->on_handle(watch->id, fd, events_of(condition), watch->opaque);
    return G_SOURCE_CONTINUE;
}

static gboolean on_time(gpointer data)
{
    struct watch *watch = data;

    if (!is_removed(watch))
        watch->on_timeout(watch->id, watch->opaque);
    return G_SOURCE_CONTINUE;
}

/* Takes the place of the watch's source; `source` NULL turns it off. The lock is held. */
static void set_source(struct watch *watch, GSource *source)
{
    if (watch->source) {
        g_source_destroy(watch->source);
        g_source_unref(watch->source);
    }
    watch->source = source;
    if (source)
        g_source_attach(source, context);
}

static void arm_handle(struct watch *watch, int events)
{
    GSource *source = events ? g_unix_fd_source_new(watch->fd, condition_of(events)) : NULL;

    if (source)
        g_source_set_callback(source, G_SOURCE_FUNC(on_fd), watch, NULL);
    set_source(watch, source);
}

static void arm_timeout(struct watch *watch, int ms)
{
    GSource *source = ms >= 0 ? g_timeout_source_new((guint)ms) : NULL;

    if (source)
        g_source_set_callback(source, on_time, watch, NULL);
    set_source(watch, source);
}

static struct watch *watch_new(int fd, void *opaque, virFreeCallback free)
{
    struct watch *watch = g_new0(struct watch, 1);

    watch->id = ++last_id;
    watch->fd = fd;
    watch->opaque = opaque;
    watch->free = free;
    g_hash_table_insert(watches, GINT_TO_POINTER(watch->id), watch);
    return watch;
}

static int add_handle(int fd, int events, virEventHandleCallback callback, void *opaque,
                      virFreeCallback free)
{
    struct watch *watch;
    int id;

    g_mutex_lock(&lock);
    watch = watch_new(fd, opaque, free);
    watch->on_handle = callback;
    arm_handle(watch, events);
    id = watch->id;
    g_mutex_unlock(&lock);
    return id;
}

static int add_timeout(int ms, virEventTimeoutCallback callback, void *opaque, virFreeCallback free)
{
    struct watch *watch;
    int id;

    g_mutex_lock(&lock);
    watch = watch_new(-1, opaque, free);
    watch->on_timeout = callback;
    arm_timeout(watch, ms);
    id = watch->id;
    g_mutex_unlock(&lock);
    return id;
}

static void update_handle(int id, int events)
{
    struct watch *watch;

    g_mutex_lock(&lock);
    watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
    if (watch)
        arm_handle(watch, events);
    g_mutex_unlock(&lock);
}

static void update_timeout(int id, int ms)
{
    struct watch *watch;

    g_mutex_lock(&lock);
    watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
    if (watch)
        arm_timeout(watch, ms);
    g_mutex_unlock(&lock);
}

static gboolean free_watch(gpointer data)
{
    struct watch *watch = data;

    if (watch->free)
        watch->free(watch->opaque);
    g_free(watch);
    return G_SOURCE_REMOVE;
}

static int remove_watch(int id)
{
    struct watch *watch;

    g_mutex_lock(&lock);
    watch = g_hash_table_lookup(watches, GINT_TO_POINTER(id));
    if (watch) {
        g_autoptr(GSource) idle = g_idle_source_new();

        g_hash_table_remove(watches, GINT_TO_POINTER(id));
        watch->removed = true;
        set_source(watch, NULL);
        g_source_set_callback(idle, free_watch, watch, NULL);
        g_source_attach(idle, context);
    }
    g_mutex_unlock(&lock);
    return watch ? 0 : -1;
}

static gpointer run_loop(G_GNUC_UNUSED gpointer data)
{
    for (;;)
        g_main_context_iteration(context, TRUE);
    return NULL;
}

static gsize started;

void vh_virt_loop_start(void)
{
    if (!g_once_init_enter(&started))
        return;
    context = g_main_context_new();
    watches = g_hash_table_new(NULL, NULL);
    virEventRegisterImpl(add_handle, update_handle, remove_watch, add_timeout, update_timeout,
                         remove_watch);
    g_thread_unref(g_thread_new("libvirt", run_loop, NULL));
    g_once_init_leave(&started, 1);
}

_Noreturn void vh_virt_loop_exit(int status)
{
    if (!started)
        exit(status);
    fflush(NULL);
    _exit(status);
}
