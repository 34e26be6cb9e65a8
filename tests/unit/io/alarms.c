/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/io/alarms.c: order, alarms that change others as they ring, and turns. */
#include "io/alarms.h"

#include <stdbool.h>

#include "lib/loop.h"

#define COUNT 200u

struct fixture {
    VhAlarms *alarms;
    struct alarm {
        struct vh_alarm alarm;
        struct fixture *f;
        unsigned rung;
    } each[COUNT];
    GArray *order;         /* when each was to ring, in the order in which they rang */
    struct alarm *stopped; /* by each that rings; NULL: none is */
    bool again;            /* each is set again as it rings for the first time */
    gint64 busy;           /* us that each takes */
};

static void on_ring(gpointer data)
{
    struct alarm *alarm = data;
    struct fixture *f = alarm->f;
    gint64 end = g_get_monotonic_time() + f->busy;

    alarm->rung++;
    g_assert_cmpuint(alarm->alarm.position, ==, 0);
    g_assert_cmpint(g_get_monotonic_time(), >=, alarm->alarm.when);
    g_array_append_val(f->order, alarm->alarm.when);
    if (f->again && alarm->rung == 1)
        vh_alarms_set(f->alarms, &alarm->alarm, g_get_monotonic_time() + 1000);
    if (f->stopped)
        vh_alarms_stop(f->alarms, &f->stopped->alarm);
    while (g_get_monotonic_time() < end)
        ;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->alarms = vh_alarms_new();
    f->order = g_array_new(FALSE, FALSE, sizeof(gint64));
    for (unsigned i = 0; i < COUNT; i++)
        f->each[i] = (struct alarm){.alarm = {.func = on_ring, .data = &f->each[i]}, .f = f};
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (unsigned i = 0; i < COUNT; i++)
        vh_alarms_stop(f->alarms, &f->each[i].alarm);
    vh_alarms_free(f->alarms);
    g_array_unref(f->order);
}

static void assert_in_order(const struct fixture *f)
{
    for (guint i = 1; i < f->order->len; i++)
        g_assert_cmpint(g_array_index(f->order, gint64, i - 1), <=,
                        g_array_index(f->order, gint64, i));
}

/* Set, set anew and stopped at random: what is left rings once, in order. */
static void test_order(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 now = g_get_monotonic_time();
    unsigned set = 0;

    for (unsigned i = 0; i < 10 * COUNT; i++) {
        struct vh_alarm *alarm = &f->each[g_test_rand_int_range(0, COUNT)].alarm;

        if (g_test_rand_int_range(0, 4) == 0)
            vh_alarms_stop(f->alarms, alarm);
        else
            vh_alarms_set(f->alarms, alarm, now + g_test_rand_int_range(-10000, 30000));
    }
    for (unsigned i = 0; i < COUNT; i++)
        set += f->each[i].alarm.position != 0;
    g_assert_cmpuint(set, >, COUNT / 2);
    LOOP_UNTIL(f->order->len >= set);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(f->order->len, ==, set);
    assert_in_order(f);
    for (unsigned i = 0; i < COUNT; i++)
        g_assert_cmpuint(f->each[i].rung, <=, 1);
}

static void test_changes(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->again = true;
    f->stopped = &f->each[7];
    for (unsigned i = 0; i < 10; i++)
        vh_alarms_set(f->alarms, &f->each[i].alarm, i);
    LOOP_UNTIL(f->order->len >= 16);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(f->each[7].rung, ==, 0);
    g_assert_cmpuint(f->each[9].rung, ==, 2);
}

/* Many that are due at once leave others their turn. */
static void test_turns(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->busy = VH_ALARMS_TURN_US;
    for (unsigned i = 0; i < 3; i++)
        vh_alarms_set(f->alarms, &f->each[i].alarm, 0);
    for (unsigned i = 1; i <= 3; i++) {
        g_assert_true(g_main_context_iteration(NULL, FALSE));
        g_assert_cmpuint(f->order->len, ==, i);
    }
    g_assert_false(g_main_context_iteration(NULL, FALSE));
}

#define ADD(name, func) g_test_add("/alarms/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("order", test_order);
    ADD("changes", test_changes);
    ADD("turns", test_turns);
    return g_test_run();
}
