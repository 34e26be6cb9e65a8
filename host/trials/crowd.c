// SPDX-License-Identifier: GPL-2.0-or-later
// Reads once for all trials what they have in common.
#include "trials/crowd.h"

#include <gio/gio.h>

#define SEARCH_GAP_US 50000

/* Of one thread, in this turn. */
struct look {
    struct vh_crowd_reading reading;
    int result;   /* of the reading; 1: not read yet */
    int runnable; /* -1: not asked yet */
};

struct VhCrowd {
    char *proc;
    GArray *busiest; /* pid_t; NULL: never searched for */
    gint64 found;
    GCancellable *searching; /* NULL: nobody is */
    gint64 turn;             /* when it began */
    GHashTable *looks;       /* thread -> struct look */
    double load;
    bool load_known;
    const char *missing;
    bool missing_known;
};

VhCrowd *vh_crowd_new(const char *proc)
{
    VhCrowd *crowd = g_new0(VhCrowd, 1);

    crowd->proc = g_strdup(proc);
    crowd->looks = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return crowd;
}

void vh_crowd_free(VhCrowd *crowd)
{
    if (!crowd)
        return;
    if (crowd->searching)
        g_cancellable_cancel(crowd->searching);
    g_clear_object(&crowd->searching);
    g_clear_pointer(&crowd->busiest, g_array_unref);
    g_hash_table_unref(crowd->looks);
    g_free(crowd->proc);
    g_free(crowd);
}

/* ---- the search ---- */

static void on_search(GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                      G_GNUC_UNUSED GCancellable *cancellable)
{
    g_task_return_pointer(task, vh_sample_busiest(data, SEARCH_GAP_US),
                          (GDestroyNotify)g_array_unref);
}

static void on_found(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(GArray) found = g_task_propagate_pointer(G_TASK(result), NULL);
    VhCrowd *crowd = data;

    if (!found) /* cancelled: the crowd is gone */
        return;
    g_clear_object(&crowd->searching);
    g_clear_pointer(&crowd->busiest, g_array_unref);
    crowd->busiest = g_steal_pointer(&found);
    crowd->found = g_get_monotonic_time();
}

const GArray *vh_crowd_busiest(VhCrowd *crowd, gint64 now)
{
    g_autoptr(GTask) task = NULL;

    if (crowd->busiest && now - crowd->found < VH_CROWD_AGE_US)
        return crowd->busiest;
    if (crowd->searching)
        return NULL;
    crowd->searching = g_cancellable_new();
    task = g_task_new(NULL, crowd->searching, on_found, crowd);
    g_task_set_task_data(task, g_strdup(crowd->proc), g_free);
    g_task_run_in_thread(task, on_search);
    return NULL;
}

/* ---- looks ---- */

/* A turn begins with the first look after the last one is over. */
static void take_turn(VhCrowd *crowd)
{
    gint64 now = g_get_monotonic_time();

    if (now - crowd->turn < VH_CROWD_TURN_US)
        return;
    crowd->turn = now;
    g_hash_table_remove_all(crowd->looks);
    crowd->load_known = crowd->missing_known = false;
}

static struct look *look_at(VhCrowd *crowd, pid_t thread)
{
    struct look *look = NULL;

    take_turn(crowd);
    look = g_hash_table_lookup(crowd->looks, GINT_TO_POINTER(thread));
    if (look)
        return look;
    look = g_new0(struct look, 1);
    look->result = 1;
    look->runnable = -1;
    g_hash_table_insert(crowd->looks, GINT_TO_POINTER(thread), look);
    return look;
}

int vh_crowd_read(VhCrowd *crowd, pid_t thread, struct vh_crowd_reading *reading)
{
    struct look *look = look_at(crowd, thread);

    if (look->result > 0) {
        look->reading.when = g_get_monotonic_time();
        look->result = vh_sample_thread(crowd->proc, thread, &look->reading.run);
    }
    if (look->result == 0)
        *reading = look->reading;
    return look->result;
}

bool vh_crowd_is_runnable(VhCrowd *crowd, pid_t thread)
{
    struct look *look = look_at(crowd, thread);

    if (look->runnable < 0)
        look->runnable = vh_sample_is_runnable(crowd->proc, thread);
    return look->runnable;
}

double vh_crowd_load(VhCrowd *crowd)
{
    take_turn(crowd);
    if (!crowd->load_known)
        crowd->load = vh_sample_load(crowd->proc);
    crowd->load_known = true;
    return crowd->load;
}

const char *vh_crowd_missing(VhCrowd *crowd)
{
    take_turn(crowd);
    if (!crowd->missing_known)
        crowd->missing = vh_sample_missing(crowd->proc);
    crowd->missing_known = true;
    return crowd->missing;
}
