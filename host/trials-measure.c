// SPDX-License-Identifier: GPL-2.0-or-later
// Measures an action's thread and its neighbours.
#include <math.h>
#include <string.h>

#include "trials-private.h"

#define NEIGHBOURS_AGE_US (10 * G_USEC_PER_SEC)
#define SEARCH_GAP_US 50000

typedef struct vh_trials_item Item;

/* ---- neighbours ---- */

struct search {
    VhTrials *trials; /* only looked at when the search was not cancelled */
    pid_t thread;
    enum vh_trials_what what;
    char *proc;
    GArray *own;
};

static void search_free(gpointer data)
{
    struct search *search = data;

    g_free(search->proc);
    g_array_unref(search->own);
    g_free(search);
}

static void on_search(GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                      G_GNUC_UNUSED GCancellable *cancellable)
{
    const struct search *search = data;

    g_task_return_pointer(task, vh_sample_busiest(search->proc, search->own, SEARCH_GAP_US),
                          (GDestroyNotify)g_array_unref);
}

static void on_found(G_GNUC_UNUSED GObject *source, GAsyncResult *result, G_GNUC_UNUSED gpointer data)
{
    const struct search *search = g_task_get_task_data(G_TASK(result));
    g_autoptr(GArray) found = g_task_propagate_pointer(G_TASK(result), NULL);
    Item *item = found ? vh_trials_find(search->trials, search->thread, search->what) : NULL;

    if (!item)
        return;
    g_clear_object(&item->searching);
    g_clear_pointer(&item->neighbours, g_array_unref);
    item->neighbours = g_array_new(FALSE, TRUE, sizeof(struct vh_trials_neighbour));
    item->found = g_get_monotonic_time();
    for (guint i = 0; i < found->len; i++) {
        struct vh_trials_neighbour neighbour = {.thread = g_array_index(found, pid_t, i)};

        vh_sample_thread(search->trials->proc, neighbour.thread, &neighbour.run);
        g_array_append_val(item->neighbours, neighbour);
    }
}

/* The other vCPUs of a guest are its own business. */
static GArray *threads_of(const VhTrials *trials, const char *guest)
{
    GArray *own = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_autoptr(GPtrArray) items = vh_trials_list(trials);

    for (guint i = 0; i < items->len; i++) {
        const Item *item = g_ptr_array_index(items, i);

        if (g_str_equal(item->guest, guest))
            g_array_append_val(own, item->thread);
    }
    return own;
}

void vh_trials_search(VhTrials *trials, Item *item, gint64 now)
{
    g_autoptr(GTask) task = NULL;
    struct search *search = NULL;

    if (item->searching || (item->neighbours && now - item->found < NEIGHBOURS_AGE_US))
        return;
    search = g_new0(struct search, 1);
    search->trials = trials;
    search->thread = item->thread;
    search->what = item->what;
    search->proc = g_strdup(trials->proc);
    search->own = threads_of(trials, item->guest);
    item->searching = g_cancellable_new();
    task = g_task_new(NULL, item->searching, on_found, NULL);
    g_task_set_task_data(task, search, search_free);
    g_task_run_in_thread(task, on_search);
}

/* ---- samples ---- */

void vh_trials_mark_own(const VhTrials *trials, Item *item)
{
    item->marked = item->trial.sampled;
    memset(&item->run, 0, sizeof(item->run));
    vh_sample_thread(trials->proc, item->thread, &item->run);
}

/* Reads what a thread got since `then`. The kernel counts a wait when it is over: who did not run and is in the
 * queue has waited since the mark; of a wait that is over, what was before the mark belonged to former looks. 0,
 * or -1. */
static int look_since(const VhTrials *trials, const Item *item, pid_t thread, const struct vh_run *then,
                      struct vh_run *now)
{
    guint64 past_ns = (guint64)MAX(g_get_monotonic_time() - item->marked, 0) * 1000;

    if (!then->ran || vh_sample_thread(trials->proc, thread, now) < 0 || now->ran < then->ran ||
        now->waited < then->waited)
        return -1;
    if (now->ran == then->ran && now->waited == then->waited && vh_sample_is_runnable(trials->proc, thread))
        now->waited += past_ns;
    now->waited = MIN(now->waited, then->waited + past_ns);
    return 0;
}

double vh_trials_look_wait(const VhTrials *trials, const Item *item)
{
    struct vh_run now;
    gint64 past_us = g_get_monotonic_time() - item->marked;

    if (look_since(trials, item, item->thread, &item->run, &now) < 0)
        return NAN;
    /* A vCPU whose guest is idle runs now and then, and may wait for that, too. */
    if ((now.ran - item->run.ran + now.waited - item->run.waited) / 1000 < (guint64)past_us / VH_TRIALS_ASLEEP)
        return NAN;
    return vh_sample_share(&item->run, &now);
}

void vh_trials_mark(const VhTrials *trials, Item *item)
{
    vh_trials_mark_own(trials, item);
    for (guint i = 0; item->neighbours && i < item->neighbours->len; i++) {
        struct vh_trials_neighbour *neighbour = &g_array_index(item->neighbours, struct vh_trials_neighbour, i);

        memset(&neighbour->run, 0, sizeof(neighbour->run));
        vh_sample_thread(trials->proc, neighbour->thread, &neighbour->run);
    }
}

/* All neighbours together; those that are gone do not count. */
static double look_at_neighbours(const VhTrials *trials, const Item *item)
{
    struct vh_run before = {0};
    struct vh_run after = {0};

    for (guint i = 0; item->neighbours && i < item->neighbours->len; i++) {
        const struct vh_trials_neighbour *neighbour =
            &g_array_index(item->neighbours, struct vh_trials_neighbour, i);
        struct vh_run now;

        if (look_since(trials, item, neighbour->thread, &neighbour->run, &now) < 0)
            continue;
        before.ran += neighbour->run.ran;
        before.waited += neighbour->run.waited;
        after.ran += now.ran;
        after.waited += now.waited;
    }
    return vh_sample_share(&before, &after);
}

struct vh_trial_sample vh_trials_look(const VhTrials *trials, const Item *item)
{
    struct vh_trial_sample taken = {.wait = vh_trials_look_wait(trials, item), .figure = item->figure};

    taken.neighbours = look_at_neighbours(trials, item);
    taken.load = vh_sample_load(trials->proc);
    return taken;
}
