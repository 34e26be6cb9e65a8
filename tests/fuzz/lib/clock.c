/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/clock.h"

#include <dlfcn.h>
#include <stdbool.h>

#define FIRST_ID (1u << 30) /* GLib's own ids of sources stay below it */
#define FIRED_MAX 10000     /* in one go: more is a timer that begins itself anew, due at once */

struct timer {
    guint id;
    gint64 due;
    gint64 every;
    GSourceFunc func;
    gpointer data;
};

/* A source that waits for a time. */
struct waiting {
    GSource *source;
    gint64 due;
};

static gint64 now;
static guint last_id;
static GArray *timers;  /* struct timer */
static GArray *sources; /* struct waiting */

gint64 g_get_monotonic_time(void)
{
    return now;
}

static guint add(gint64 every, GSourceFunc func, gpointer data)
{
    struct timer timer = {++last_id, now + every, every, func, data};

    g_array_append_val(timers, timer);
    return timer.id;
}

guint g_timeout_add(guint interval, GSourceFunc function, gpointer data)
{
    return add((gint64)interval * 1000, function, data);
}

guint g_timeout_add_seconds(guint interval, GSourceFunc function, gpointer data)
{
    return add((gint64)interval * G_USEC_PER_SEC, function, data);
}

static struct timer *find(guint id)
{
    for (guint i = 0; i < timers->len; i++)
        if (g_array_index(timers, struct timer, i).id == id)
            return &g_array_index(timers, struct timer, i);
    return NULL;
}

static void drop(guint id)
{
    for (guint i = 0; i < timers->len; i++)
        if (g_array_index(timers, struct timer, i).id == id)
            g_array_remove_index_fast(timers, i);
}

gboolean g_source_remove(guint id)
{
    GSource *source = NULL;

    if (id > FIRST_ID) {
        g_assert(find(id)); /* it has been called, and so is gone, or never was */
        drop(id);
        return TRUE;
    }
    source = g_main_context_find_source_by_id(NULL, id);
    g_assert(source);
    g_source_destroy(source);
    return TRUE;
}

/* For GLib it has no time, or is ready. */
static void set_ready(GSource *source, bool ready)
{
    static void (*real)(GSource * source, gint64 when);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "g_source_set_ready_time");
    real(source, ready ? 0 : -1);
}

void g_source_set_ready_time(GSource *source, gint64 when)
{
    const struct waiting waiting = {source, when};

    for (guint i = 0; i < sources->len; i++)
        if (g_array_index(sources, struct waiting, i).source == source)
            g_array_remove_index_fast(sources, i);
    if (when > now)
        g_array_append_val(sources, waiting);
    set_ready(source, when >= 0 && when <= now);
}

static const struct waiting *first_waiting(gint64 until)
{
    const struct waiting *first = NULL;

    for (guint i = 0; i < sources->len; i++) {
        const struct waiting *waiting = &g_array_index(sources, struct waiting, i);

        if (waiting->due <= until && (!first || waiting->due < first->due))
            first = waiting;
    }
    return first;
}

static const struct timer *first_due(gint64 until)
{
    const struct timer *first = NULL;

    for (guint i = 0; i < timers->len; i++) {
        const struct timer *timer = &g_array_index(timers, struct timer, i);

        if (timer->due <= until && (!first || timer->due < first->due))
            first = timer;
    }
    return first;
}

void clock_begin(void)
{
    if (!timers) {
        timers = g_array_new(FALSE, FALSE, sizeof(struct timer));
        sources = g_array_new(FALSE, FALSE, sizeof(struct waiting));
    }
    g_array_set_size(timers, 0);
    g_array_set_size(sources, 0);
    now = 1000 * G_USEC_PER_SEC;
    last_id = FIRST_ID;
}

static void call(const struct timer *due)
{
    struct timer timer = *due;
    struct timer *again = NULL;

    now = MAX(now, timer.due);
    if (timer.func(timer.data))
        again = find(timer.id);
    else
        drop(timer.id);
    if (again)
        again->due = now + MAX(again->every, 1);
}

static void dispatch(const struct waiting *due)
{
    now = MAX(now, due->due);
    g_source_set_ready_time(due->source, now);
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

void clock_pass(gint64 us)
{
    gint64 until = now + us;
    const struct timer *timer = first_due(until);
    const struct waiting *waiting = first_waiting(until);

    for (unsigned fired = 0; timer || waiting; fired++) {
        g_assert(fired < FIRED_MAX);
        if (!waiting || (timer && timer->due <= waiting->due))
            call(timer);
        else
            dispatch(waiting);
        timer = first_due(until);
        waiting = first_waiting(until);
    }
    now = until;
}

void clock_end(void)
{
    g_assert(timers->len == 0 && sources->len == 0);
}
