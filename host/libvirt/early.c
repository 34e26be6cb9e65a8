// SPDX-License-Identifier: GPL-2.0-or-later
// Looks for a QEMU that libvirt is starting.
#include "libvirt/early.h"

#include "machine/tid.h"
#include "qemu/threads.h"

struct VhEarly {
    char *proc;
    char *pid_file;
    char *uuid;
    struct vh_thread_id process; /* thread 0: not found yet */
    gint64 begin;                /* us */
    guint timer;
    VhEarlyFunc func;
    gpointer data;
};

static gboolean on_timer(gpointer data)
{
    VhEarly *early = data;
    gint64 now = g_get_monotonic_time();
    gint64 age = (now - early->begin) / 1000;
    gint64 wait = age > VH_EARLY_SLOW_AFTER_MS ? VH_EARLY_SLOW_MS : VH_EARLY_MS;

    early->timer = 0;
    if (age > VH_EARLY_LIMIT_MS ||
        (early->process.thread && vh_tid_check(early->proc, &early->process) < 0))
        return G_SOURCE_REMOVE;
    if (!early->process.thread)
        early->process = vh_threads_read_process(early->proc, early->pid_file, early->uuid);
    if (early->process.thread)
        early->func(&early->process, early->data);
    wait = MAX(wait, (g_get_monotonic_time() - now) * VH_EARLY_SHARE / 1000);
    early->timer = g_timeout_add((guint)wait, on_timer, early);
    return G_SOURCE_REMOVE;
}

VhEarly *vh_early_new(const char *proc, const char *pid_file, const char *name, const char *uuid,
                      VhEarlyFunc func, gpointer data)
{
    VhEarly *early = g_new0(VhEarly, 1);

    early->proc = g_strdup(proc);
    early->pid_file = pid_file ? g_strdup(pid_file) : vh_threads_pid_file(name);
    early->uuid = g_strdup(uuid);
    early->begin = g_get_monotonic_time();
    early->func = func;
    early->data = data;
    early->timer = g_timeout_add(VH_EARLY_MS, on_timer, early);
    return early;
}

void vh_early_free(VhEarly *early)
{
    if (!early)
        return;
    g_clear_handle_id(&early->timer, g_source_remove);
    g_free(early->proc);
    g_free(early->pid_file);
    g_free(early->uuid);
    g_free(early);
}
