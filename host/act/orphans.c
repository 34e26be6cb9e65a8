// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the threads that inherited a mask from one that a dead daemon had changed.
#include "act/orphans.h"

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "act/actuator.h"
#include "machine/tid.h"

/* A saved thread that is still there. */
struct maker {
    pid_t thread;
    pid_t process;
    enum vh_target_kind kind;
    char guest[VH_SAVED_GUEST];
    struct vh_cpuset held; /* by the dead daemon */
    struct vh_cpuset former;
};

struct VhOrphans {
    GArray *makers; /* struct maker */
};

VhOrphans *vh_orphans_new(VhSaved *saved)
{
    VhOrphans *orphans = g_new0(VhOrphans, 1);
    const struct vh_saved_slot *slot = NULL;

    orphans->makers = g_array_new(FALSE, TRUE, sizeof(struct maker));
    while ((slot = vh_saved_next(saved, VH_SAVED_MASK, slot))) {
        const struct vh_thread_id thread = vh_saved_thread(slot);
        struct maker maker = {.thread = slot->thread,
                              .process = slot->process,
                              .kind = (enum vh_target_kind)slot->target,
                              .former = slot->former};

        if (vh_tid_check("/proc", &thread) < 0 || !vh_tid_cpus(slot->thread, &maker.held))
            continue;
        memcpy(maker.guest, slot->guest, sizeof(maker.guest));
        if (!vh_cpuset_equal(&maker.held, &maker.former))
            g_array_append_val(orphans->makers, maker);
    }
    return orphans;
}

static unsigned rank(const struct maker *maker)
{
    return vh_maker_rank(maker->kind, maker->process, maker->thread);
}

/* Who may have made `thread`: one of the same process that was held to just its mask, of several
 * the likeliest. */
static const struct maker *maker_of(const VhOrphans *orphans, pid_t process, pid_t thread)
{
    const struct maker *found = NULL;
    struct vh_cpuset cpus;

    if (!vh_tid_cpus(thread, &cpus))
        return NULL;
    for (guint i = 0; i < orphans->makers->len; i++) {
        const struct maker *maker = &g_array_index(orphans->makers, struct maker, i);

        if (maker->thread == thread)
            return NULL;
        if (maker->process == process && vh_cpuset_equal(&maker->held, &cpus) &&
            (!found || rank(maker) > rank(found)))
            found = maker;
    }
    return found;
}

static void put_back(const VhOrphans *orphans, pid_t process, VhOrphanFunc func, gpointer data)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", process);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        pid_t thread = (pid_t)strtol(name, NULL, 10);
        const struct maker *maker = maker_of(orphans, process, thread);

        if (maker && sched_setaffinity(thread, sizeof(maker->former),
                                       (const cpu_set_t *)(const void *)&maker->former) == 0)
            func(maker->guest, thread, data);
    }
}

void vh_orphans_put_back(VhOrphans *orphans, VhOrphanFunc func, gpointer data)
{
    g_autoptr(GHashTable) done = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < orphans->makers->len; i++) {
        pid_t process = g_array_index(orphans->makers, struct maker, i).process;

        if (g_hash_table_add(done, GINT_TO_POINTER(process)))
            put_back(orphans, process, func, data);
    }
}

void vh_orphans_free(VhOrphans *orphans)
{
    g_array_unref(orphans->makers);
    g_free(orphans);
}
