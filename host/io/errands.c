// SPDX-License-Identifier: GPL-2.0-or-later
// Carries errands from one thread's main loop to another's, and back.
#include "io/errands.h"

#include <pthread.h>
#include <stdbool.h>

struct way {
    GSource *source; /* of the loop at its end */
    GQueue queue;    /* struct vh_errand, by its link */
};

struct VhErrands {
    pthread_mutex_t lock; /* of both queues */
    struct way there, back;

    /* the doer's */
    unsigned under_way; /* worked, not finished */
    bool closed;
};

struct way_source {
    GSource source;
    VhErrands *errands;
};

static void push(VhErrands *errands, struct way *way, struct vh_errand *errand)
{
    pthread_mutex_lock(&errands->lock);
    errand->link = (GList){.data = errand};
    g_queue_push_tail_link(&way->queue, &errand->link);
    if (way->queue.length == 1)
        g_source_set_ready_time(way->source, 0);
    pthread_mutex_unlock(&errands->lock);
}

/* NULL: there is none, and the loop sleeps until there is. */
static struct vh_errand *pop(VhErrands *errands, struct way *way)
{
    GList *link = NULL;

    pthread_mutex_lock(&errands->lock);
    link = g_queue_pop_head_link(&way->queue);
    if (!link)
        g_source_set_ready_time(way->source, -1);
    pthread_mutex_unlock(&errands->lock);
    return link ? link->data : NULL;
}

static gboolean on_sent(GSource *source, GSourceFunc func, gpointer data)
{
    VhErrands *errands = ((struct way_source *)source)->errands;
    gint64 end = g_get_monotonic_time() + VH_ERRANDS_TURN_US;
    struct vh_errand *errand = NULL;

    (void)func;
    (void)data;
    while ((errand = pop(errands, &errands->there))) {
        errands->under_way++;
        errand->work(errand);
        if (g_get_monotonic_time() >= end)
            break;
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_finished(GSource *source, GSourceFunc func, gpointer data)
{
    VhErrands *errands = ((struct way_source *)source)->errands;
    struct vh_errand *errand = NULL;

    (void)func;
    (void)data;
    while ((errand = pop(errands, &errands->back)))
        errand->done(errand);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs there_funcs = {.dispatch = on_sent};
static GSourceFuncs back_funcs = {.dispatch = on_finished};

static void open_way(VhErrands *errands, struct way *way, GSourceFuncs *funcs, GMainContext *end)
{
    g_queue_init(&way->queue);
    way->source = g_source_new(funcs, sizeof(struct way_source));
    ((struct way_source *)way->source)->errands = errands;
    g_source_set_name(way->source, "errands");
    g_source_attach(way->source, end);
}

VhErrands *vh_errands_new(GMainContext *doer, GMainContext *asker)
{
    VhErrands *errands = g_new0(VhErrands, 1);

    pthread_mutex_init(&errands->lock, NULL);
    open_way(errands, &errands->there, &there_funcs, doer);
    open_way(errands, &errands->back, &back_funcs, asker);
    return errands;
}

void vh_errands_send(VhErrands *errands, struct vh_errand *errand)
{
    g_assert(errand->work && errand->done && errand->drop);
    errand->errands = errands;
    push(errands, &errands->there, errand);
}

static void errands_free(VhErrands *errands)
{
    pthread_mutex_destroy(&errands->lock);
    g_source_unref(errands->there.source);
    g_source_unref(errands->back.source);
    g_free(errands);
}

void vh_errand_finish(struct vh_errand *errand)
{
    VhErrands *errands = errand->errands;

    g_assert(errands->under_way > 0);
    errands->under_way--;
    if (!errands->closed) {
        push(errands, &errands->back, errand);
        return;
    }
    errand->drop(errand);
    if (!errands->under_way)
        errands_free(errands);
}

static void drop_all(VhErrands *errands, struct way *way)
{
    struct vh_errand *errand = NULL;

    g_source_destroy(way->source);
    while ((errand = pop(errands, way)))
        errand->drop(errand);
}

void vh_errands_close(VhErrands *errands)
{
    g_assert(!errands->closed);
    errands->closed = true;
    drop_all(errands, &errands->there);
    drop_all(errands, &errands->back);
    if (!errands->under_way)
        errands_free(errands);
}
