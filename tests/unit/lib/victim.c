/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/victim.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "lib/loop.h"

static gpointer run_victim(gpointer data)
{
    struct victim *victim = data;

    g_mutex_lock(&victim->lock);
    victim->tid = (pid_t)syscall(SYS_gettid);
    g_cond_broadcast(&victim->cond);
    while (!victim->end)
        g_cond_wait(&victim->cond, &victim->lock);
    g_mutex_unlock(&victim->lock);
    return NULL;
}

void victim_start(struct victim *victim)
{
    victim->tid = 0;
    victim->end = false;
    victim->thread = g_thread_new("victim", run_victim, victim);
    g_mutex_lock(&victim->lock);
    while (!victim->tid)
        g_cond_wait(&victim->cond, &victim->lock);
    g_mutex_unlock(&victim->lock);
}

void victim_end(struct victim *victim)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d", victim->tid);

    if (!victim->thread)
        return;
    g_mutex_lock(&victim->lock);
    victim->end = true;
    g_cond_broadcast(&victim->cond);
    g_mutex_unlock(&victim->lock);
    g_thread_join(g_steal_pointer(&victim->thread));
    /* The kernel takes a moment more than pthread_join to forget a thread. */
    LOOP_UNTIL(access(path, F_OK) != 0);
}
