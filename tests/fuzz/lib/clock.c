/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/clock.h"

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

static gint64 now;
static guint last_id;
static GArray *timers; /* struct timer */

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
    if (!timers)
        timers = g_array_new(FALSE, FALSE, sizeof(struct timer));
    g_array_set_size(timers, 0);
    now = 1000 * G_USEC_PER_SEC;
    last_id = FIRST_ID;
}

void clock_pass(gint64 us)
{
    gint64 until = now + us;
    const struct timer *due = NULL;
    unsigned fired = 0;

    while ((due = first_due(until))) {
        struct timer timer = *due;
        struct timer *again = NULL;

        g_assert(fired++ < FIRED_MAX);
        now = MAX(now, timer.due);
        if (timer.func(timer.data))
            again = find(timer.id);
        else
            drop(timer.id);
        if (again)
            again->due = now + MAX(again->every, 1);
    }
    now = until;
}

void clock_end(void)
{
    g_assert(timers->len == 0);
}
