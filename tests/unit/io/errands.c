/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/io/errands.c: order, work that takes its time, turns, and what becomes of errands when the
 * line is closed. The doer is the test's own thread. */
#include "io/errands.h"

#include <pthread.h>
#include <stdbool.h>

#include "lib/loop.h"

#define ERRANDS 2000u
#define ASIDE 7u /* of so many one is finished later */

struct errand {
    struct vh_errand errand;
    struct fixture *f;
    unsigned number;
    unsigned square; /* what its work comes to */
};

struct fixture {
    VhErrands *errands;
    GMainContext *context; /* the asker's */
    GMainLoop *loop;
    GThread *thread;
    unsigned want; /* the asker ends once so many are done */

    /* the asker's while it lives */
    GArray *done; /* numbers */

    /* the doer's */
    GArray *worked;  /* numbers */
    GPtrArray *late; /* not finished yet */
    unsigned dropped;
    gint64 busy; /* us that each work takes */
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->context = g_main_context_new();
    f->loop = g_main_loop_new(f->context, FALSE);
    f->errands = vh_errands_new(NULL, f->context);
    f->done = g_array_new(FALSE, FALSE, sizeof(unsigned));
    f->worked = g_array_new(FALSE, FALSE, sizeof(unsigned));
    f->late = g_ptr_array_new();
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_main_loop_unref(f->loop);
    g_main_context_unref(f->context);
    g_array_unref(f->done);
    g_array_unref(f->worked);
    g_ptr_array_unref(f->late);
}

static struct errand *errand_of(struct vh_errand *errand)
{
    return (struct errand *)(void *)errand;
}

/* ---- the doer ---- */

static void work(struct vh_errand *data)
{
    struct errand *errand = errand_of(data);
    gint64 end = g_get_monotonic_time() + errand->f->busy;

    g_array_append_val(errand->f->worked, errand->number);
    errand->square = errand->number * errand->number;
    while (g_get_monotonic_time() < end)
        ;
    vh_errand_finish(data);
}

static void work_later(struct vh_errand *data)
{
    struct errand *errand = errand_of(data);

    g_array_append_val(errand->f->worked, errand->number);
    g_ptr_array_add(errand->f->late, errand);
}

static void finish_late(struct fixture *f)
{
    for (guint i = 0; i < f->late->len; i++) {
        struct errand *errand = g_ptr_array_index(f->late, i);

        errand->square = errand->number * errand->number;
        vh_errand_finish(&errand->errand);
    }
    g_ptr_array_set_size(f->late, 0);
}

static void drop(struct vh_errand *data)
{
    struct errand *errand = errand_of(data);

    errand->f->dropped++;
    g_free(errand);
}

/* ---- the asker ---- */

static void done(struct vh_errand *data)
{
    struct errand *errand = errand_of(data);
    struct fixture *f = errand->f;

    g_assert_cmpuint(errand->square, ==, errand->number * errand->number);
    g_array_append_val(f->done, errand->number);
    g_free(errand);
    if (f->done->len == f->want)
        g_main_loop_quit(f->loop);
}

static void send(struct fixture *f, unsigned number, void (*func)(struct vh_errand *errand))
{
    struct errand *errand = g_new0(struct errand, 1);

    errand->errand.work = func;
    errand->errand.done = done;
    errand->errand.drop = drop;
    errand->f = f;
    errand->number = number;
    vh_errands_send(f->errands, &errand->errand);
}

static gpointer ask_all(gpointer data)
{
    struct fixture *f = data;

    for (unsigned i = 0; i < ERRANDS; i++)
        send(f, i, i % ASIDE ? work : work_later);
    g_main_loop_run(f->loop);
    return NULL;
}

static gpointer ask_without_waiting(gpointer data)
{
    struct fixture *f = data;

    for (unsigned i = 0; i < 3; i++)
        send(f, i, i == 1 ? work_later : work);
    return NULL;
}

/* ---- cases ---- */

static void test_order(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const unsigned *last[2] = {NULL, NULL};

    f->want = ERRANDS;
    f->thread = g_thread_new("asker", ask_all, f);
    LOOP_UNTIL(f->worked->len >= ERRANDS)
    {
        finish_late(f);
    }
    finish_late(f);
    g_thread_join(f->thread);
    g_assert_cmpuint(f->done->len, ==, ERRANDS);
    for (unsigned i = 0; i < ERRANDS; i++) {
        const unsigned *number = &g_array_index(f->done, unsigned, i);
        bool late = *number % ASIDE == 0;

        /* All were worked in order; those that took their time are done later than others. */
        g_assert_cmpuint(g_array_index(f->worked, unsigned, i), ==, i);
        g_assert_true(!last[late] || *last[late] < *number);
        last[late] = number;
    }
    vh_errands_close(f->errands);
    g_assert_cmpuint(f->dropped, ==, 0);
}

static gboolean on_idle(gpointer data)
{
    const struct fixture *f = data;

    /* The doer's loop has come round before all was worked. */
    g_assert_cmpuint(f->worked->len, >, 0);
    g_assert_cmpuint(f->worked->len, <, 3);
    return G_SOURCE_REMOVE;
}

static void test_turns(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    GSource *other = g_idle_source_new();

    f->busy = VH_ERRANDS_TURN_US;
    for (unsigned i = 0; i < 3; i++)
        send(f, i, work);
    g_source_set_priority(other, G_PRIORITY_DEFAULT);
    g_source_set_callback(other, on_idle, f, NULL);
    g_source_attach(other, NULL);
    g_source_unref(other);
    LOOP_UNTIL(f->worked->len >= 3);
    g_assert_false(g_main_context_find_source_by_user_data(NULL, f) != NULL);
    vh_errands_close(f->errands);
    g_assert_cmpuint(f->dropped, ==, 3);
}

/* One is not worked yet, one is finished, one under way. */
static void test_close(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->thread = g_thread_new("asker", ask_without_waiting, f);
    g_thread_join(f->thread);
    f->busy = VH_ERRANDS_TURN_US; /* so that a turn ends with the second */
    LOOP_UNTIL(f->worked->len >= 2);
    g_assert_cmpuint(f->late->len, ==, 1);
    send(f, 3, work);
    vh_errands_close(f->errands);
    g_assert_cmpuint(f->dropped, ==, 3);
    finish_late(f);
    g_assert_cmpuint(f->dropped, ==, 4);
    loop_turn();
    g_assert_cmpuint(f->done->len, ==, 0);
}

#define ADD(name, func) g_test_add("/errands/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("order", test_order);
    ADD("turns", test_turns);
    ADD("close", test_close);
    return g_test_run();
}
