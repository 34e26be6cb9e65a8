/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/question.c: how often a monitor is asked, by a clock that the test sets. */
#include "guest/question.h"

static gint64 now;
static GSourceFunc timer; /* NULL: none */
static gpointer timers_data;
static gint64 timers_due;

/* ---- in place of GLib's ---- */

gint64 g_get_monotonic_time(void)
{
    return now;
}

guint g_timeout_add(guint interval, GSourceFunc function, gpointer data)
{
    g_assert_null(timer);
    timer = function;
    timers_data = data;
    timers_due = now + (gint64)interval * 1000;
    return 1;
}

gboolean g_source_remove(guint id)
{
    g_assert_true(id == 1 && timer);
    timer = NULL;
    return TRUE;
}

static void pass(gint64 us)
{
    gint64 until = now + us;

    while (timer && timers_due <= until) {
        GSourceFunc func = timer;

        now = timers_due;
        timer = NULL;
        g_assert_false(func(timers_data));
    }
    now = until;
}

/* ---- a monitor whose answers take their time ---- */

struct fixture {
    struct vh_question question;
    gint64 cost; /* us, of each answer; -1: it does not answer */
    guint asked;
    gint64 busy;
};

static void on_ask(gpointer data)
{
    struct fixture *f = data;

    f->asked++;
    if (f->cost < 0)
        return;
    now += f->cost;
    f->busy += f->cost;
    vh_question_answered(&f->question, f->cost);
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    *f = (struct fixture){.question = {.ask = on_ask, .data = f}};
    now = 1000 * G_USEC_PER_SEC;
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_question_drop(&f->question);
    g_assert_null(timer);
}

/* Events as fast as they come, for so long. */
static void storm(struct fixture *f, gint64 us)
{
    gint64 until = now + us;

    while (now < until) {
        vh_question_ask(&f->question);
        pass(1000);
    }
}

/* Of answers that cost nothing one is asked for every VH_QUESTION_GAP_MS. */
static void test_cheap(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_question_ask(&f->question);
    g_assert_cmpuint(f->asked, ==, 1); /* at once */
    storm(f, G_USEC_PER_SEC);
    g_assert_cmpuint(f->asked, >=, 40);
    g_assert_cmpuint(f->asked, <=, 1 + 1000 / VH_QUESTION_GAP_MS);
}

/* However dear they are, and however many events there are, answers take a tenth of the time. */
static void test_dear(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const gint64 costs[] = {1000, 5000, 50000, 400000};

    for (guint i = 0; i < G_N_ELEMENTS(costs); i++) {
        gint64 begin = now;

        f->busy = 0;
        f->cost = costs[i];
        storm(f, 100 * G_USEC_PER_SEC);
        g_assert_cmpint(f->busy, >, 0);
        g_assert_cmpint(f->busy * (VH_QUESTION_REST + 1), <=,
                        now - begin + costs[i] * (VH_QUESTION_REST + 2));
    }
    /* Once it is cheap again, so are questions, soon. */
    f->cost = 0;
    pass((gint64)400000 * VH_QUESTION_REST + 1000);
    storm(f, G_USEC_PER_SEC);
    f->asked = 0;
    storm(f, G_USEC_PER_SEC);
    g_assert_cmpuint(f->asked, >=, 40);
}

/* What comes up while a question is under way is asked once, afterwards. */
static void test_under_way(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->cost = -1;
    storm(f, G_USEC_PER_SEC);
    g_assert_cmpuint(f->asked, ==, 1);
    g_assert_false(vh_question_answered(&f->question, 3000)); /* not the last word */
    pass(3000 * VH_QUESTION_REST - 1);
    g_assert_cmpuint(f->asked, ==, 1);
    pass(2000);
    g_assert_cmpuint(f->asked, ==, 2);
    g_assert_true(vh_question_answered(&f->question, 0));
}

#define ADD(name, func) g_test_add("/question/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("cheap", test_cheap);
    ADD("dear", test_dear);
    ADD("under-way", test_under_way);
    return g_test_run();
}
