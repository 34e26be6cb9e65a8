/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/decide/growth.c: what is known, in time, against what the guest is to have. */
#include "decide/growth.h"

#include <math.h>

#define MIB ((guint64)1 << 20)
#define S ((gint64)G_USEC_PER_SEC)

static const struct vh_growth_limits limits = {
    .max = 512 * MIB, .step = 128 * MIB, .linger = VH_GROWTH_LINGER_US};

struct fixture {
    struct vh_growth growth;
    struct vh_growth_limits limits;
    struct vh_growth_ask ask;
    gint64 now;
    gint64 next;
};

static struct fixture begin(void)
{
    return (struct fixture){
        .limits = limits,
        .ask = {.trial = true, .stall = NAN, .room = -1, .has = 256 * MIB, .spare = G_MAXINT64},
        .now = 1000 * S};
}

static void look(struct fixture *f, gint64 later, bool asked)
{
    f->now += later;
    f->ask.asked = asked;
    f->next = vh_growth_look(&f->growth, &f->limits, &f->ask, f->now);
}

static void expect(const struct fixture *f, enum vh_growth_state state, guint64 mib)
{
    g_assert_cmpstr(vh_growth_state_text(f->growth.state), ==, vh_growth_state_text(state));
    g_assert_cmpuint(f->growth.target, ==, mib * MIB);
}

static void test_one_step_at_a_time(void)
{
    struct fixture f = begin();

    look(&f, 0, false);
    expect(&f, VH_GROWTH_OFF, 0);
    g_assert_cmpint(f.next, ==, -1);
    look(&f, 0, true);
    expect(&f, VH_GROWTH_GROWING, 384);
    look(&f, S, true);
    expect(&f, VH_GROWTH_GROWING, 384);
    g_assert_cmpint(f.next, ==, f.now - S + VH_GROWTH_SETTLE_US);
    look(&f, VH_GROWTH_SETTLE_US - S, true);
    expect(&f, VH_GROWTH_GROWING, 512);
    look(&f, VH_GROWTH_SETTLE_US, true);
    expect(&f, VH_GROWTH_FULL, 512);
    g_assert_cmpint(f.next, ==, -1);
    /* Nothing asks: it goes back the same way, and ends where it began. */
    f.ask.room = (gint64)(400 * MIB);
    look(&f, S, false);
    expect(&f, VH_GROWTH_FULL, 512);
    look(&f, VH_GROWTH_LINGER_US, false);
    expect(&f, VH_GROWTH_EASING, 384);
    g_assert_cmpint(f.next, ==, f.now + VH_GROWTH_LINGER_US);
    look(&f, VH_GROWTH_LINGER_US, false);
    expect(&f, VH_GROWTH_OFF, 0);
    g_assert_cmpint(f.next, ==, -1);
}

static void test_limits(void)
{
    struct fixture f = begin();

    /* A step that does not fit is as long as what is left. */
    f.limits.max = 300 * MIB;
    look(&f, 0, true);
    expect(&f, VH_GROWTH_GROWING, 300);
    f.limits.max = 280 * MIB;
    look(&f, 0, true);
    g_assert_cmpuint(f.growth.target, ==, 280 * MIB);
    /* None at all ends it at once. */
    f.limits.max = 0;
    look(&f, 0, true);
    expect(&f, VH_GROWTH_OFF, 0);
    /* What has more than it may have is left alone. */
    f.limits.max = 200 * MIB;
    look(&f, 0, true);
    expect(&f, VH_GROWTH_FULL, 0);
    look(&f, 60 * S, false);
    expect(&f, VH_GROWTH_OFF, 0);
}

static void test_min_is_where_it_stays(void)
{
    struct fixture f = begin();

    f.limits.min = 384 * MIB;
    f.ask.room = (gint64)(400 * MIB);
    look(&f, 0, true);
    look(&f, VH_GROWTH_SETTLE_US, true);
    g_assert_cmpuint(f.growth.target, ==, 512 * MIB);
    for (int i = 0; i < 5; i++)
        look(&f, VH_GROWTH_LINGER_US, false);
    expect(&f, VH_GROWTH_FULL, 384);
    g_assert_cmpint(f.next, ==, -1);
}

static void test_the_host_comes_first(void)
{
    struct fixture f = begin();

    f.ask.spare = (gint64)(100 * MIB);
    look(&f, 0, true);
    expect(&f, VH_GROWTH_SHORT, 0);
    g_assert_cmpint(f.next, ==, f.now + VH_GROWTH_RETRY_US);
    f.ask.spare = (gint64)(200 * MIB);
    look(&f, VH_GROWTH_RETRY_US, true);
    expect(&f, VH_GROWTH_GROWING, 384);
    f.ask.spare = -1;
    look(&f, VH_GROWTH_SETTLE_US, true);
    expect(&f, VH_GROWTH_SHORT, 384);
}

static void test_room(void)
{
    struct fixture f = begin();

    f.ask.room = (gint64)(10 * MIB);
    look(&f, 0, true);
    look(&f, 60 * S, false);
    look(&f, 60 * S, false);
    expect(&f, VH_GROWTH_IN_USE, 384);
    g_assert_cmpint(f.next, ==, -1);
    f.ask.room = (gint64)(256 * MIB);
    look(&f, 60 * S, false);
    expect(&f, VH_GROWTH_OFF, 0);
    /* A guest that does not say waits longer. */
    f = begin();
    look(&f, 0, true);
    look(&f, 0, false);
    g_assert_cmpint(f.next, ==, f.now + VH_GROWTH_DUMB_FACTOR * VH_GROWTH_LINGER_US);
    look(&f, VH_GROWTH_DUMB_FACTOR * VH_GROWTH_LINGER_US, false);
    expect(&f, VH_GROWTH_OFF, 0);
}

/* Steps back that bring the pressure back come ever later; a guest cannot make memory swing at
 * will. */
static void test_relapses(void)
{
    struct fixture f = begin();
    gint64 waited = 0;

    f.limits.max = 384 * MIB;
    f.ask.room = (gint64)(400 * MIB);
    for (unsigned i = 0; i < 10; i++) {
        look(&f, 0, true);
        g_assert_cmpuint(f.growth.target, ==, 384 * MIB);
        look(&f, 0, false);
        waited = f.next - f.now;
        g_assert_cmpint(waited, ==, VH_GROWTH_LINGER_US << MIN(i, VH_GROWTH_DOUBLINGS));
        look(&f, waited, false);
        expect(&f, VH_GROWTH_OFF, 0);
    }
    /* What comes much later is not the step's fault. */
    look(&f, VH_GROWTH_RELAPSE_US, true);
    look(&f, 0, false);
    g_assert_cmpint(f.next - f.now, ==, VH_GROWTH_LINGER_US);
}

static void climb(struct fixture *f)
{
    look(f, 0, true);
    while (f->growth.target < f->limits.max)
        look(f, VH_GROWTH_SETTLE_US, true);
}

static void test_trial(void)
{
    struct fixture f = begin();

    f.ask.stall = 700;
    climb(&f);
    look(&f, VH_GROWTH_JUDGE_US, true);
    expect(&f, VH_GROWTH_RESTING, 0);
    g_assert_cmpint(f.next, ==, f.now + VH_GROWTH_REST_US);
    /* It may ask as it likes. */
    look(&f, S, false);
    look(&f, S, true);
    g_assert_cmpuint(f.growth.target, ==, 0);
    look(&f, VH_GROWTH_REST_US, true);
    g_assert_cmpuint(f.growth.target, ==, 384 * MIB);
    climb(&f);
    look(&f, VH_GROWTH_JUDGE_US, true);
    g_assert_cmpint(f.next, ==, f.now + 2 * VH_GROWTH_REST_US);
    g_assert_cmpuint(f.growth.reverts, ==, 2);
    /* Once it helps, all is forgiven, and it is not asked again. */
    look(&f, 2 * VH_GROWTH_REST_US, true);
    climb(&f);
    f.ask.stall = 300;
    look(&f, VH_GROWTH_JUDGE_US, true);
    expect(&f, VH_GROWTH_FULL, 512);
    g_assert_true(f.growth.judged);
    g_assert_cmpuint(f.growth.reverts, ==, 0);
    f.ask.stall = 900;
    look(&f, VH_GROWTH_JUDGE_US, true);
    expect(&f, VH_GROWTH_FULL, 512);
}

static void test_no_trial(void)
{
    struct fixture f = begin();

    f.ask.trial = false;
    f.ask.stall = 700;
    climb(&f);
    look(&f, VH_GROWTH_JUDGE_US * 4, true);
    expect(&f, VH_GROWTH_FULL, 512);
    f = begin(); /* no figure */
    climb(&f);
    look(&f, VH_GROWTH_JUDGE_US * 4, true);
    expect(&f, VH_GROWTH_FULL, 512);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/growth/steps", test_one_step_at_a_time);
    g_test_add_func("/growth/limits", test_limits);
    g_test_add_func("/growth/min", test_min_is_where_it_stays);
    g_test_add_func("/growth/host", test_the_host_comes_first);
    g_test_add_func("/growth/room", test_room);
    g_test_add_func("/growth/relapses", test_relapses);
    g_test_add_func("/growth/trial", test_trial);
    g_test_add_func("/growth/no-trial", test_no_trial);
    return g_test_run();
}
