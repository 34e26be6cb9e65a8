/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/sweep.c: a made-up kernel with tasks that come, go and change while the sweep looks. */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "sweep.h"

#define TASKS 64

/* A value of `state`: as in a hint, the time makes each record another. */
struct value {
    uint64_t ktime;
    uint32_t mask;
    uint32_t reserved;
};

struct world {
    uint32_t tasks[TASKS]; /* mask by number; 0: no such task, or not bound */
    struct value facts[TASKS];
    uint64_t clock;
    guint walks;
    guint taken;
    guint walk_error_at; /* the walk ends with -EIO when it comes to this number; 0: never */
    size_t excess;       /* bytes written beside the keys */
    int take_out_error;
    /* Called before the walk looks at `number`, and (number TASKS) between the last look at a fact
     * and its removal. */
    void (*meanwhile)(struct world *world, uint32_t number);
    GRand *random;
};

/* What a program's hook does when it is shown an event. */
static void evaluate(struct world *world, uint32_t number)
{
    if (world->facts[number].mask == world->tasks[number])
        return;
    world->facts[number] = (struct value){.ktime = ++world->clock, .mask = world->tasks[number]};
}

static void change(struct world *world, uint32_t number, uint32_t mask)
{
    world->tasks[number] = mask;
    evaluate(world, number);
}

static int on_read(void *context, struct vh_table *table)
{
    struct world *world = context;

    table->keys = malloc(TASKS * sizeof(uint32_t));
    table->values = malloc(TASKS * sizeof(struct value));
    for (uint32_t i = 0; i < TASKS; i++) {
        if (!world->facts[i].mask)
            continue;
        memcpy(table->keys + table->count * sizeof(i), &i, sizeof(i));
        memcpy(table->values + table->count * sizeof(struct value), &world->facts[i],
               sizeof(struct value));
        table->count++;
    }
    return 0;
}

static int on_walk(void *context, struct vh_written *written)
{
    struct world *world = context;

    world->walks++;
    for (uint32_t i = TASKS - 1; i > 0; i--) { /* not in the order of the keys */
        if (world->meanwhile)
            world->meanwhile(world, i);
        if (i == world->walk_error_at)
            return -EIO;
        if (!world->tasks[i])
            continue; /* a walk does not meet what is not there */
        evaluate(world, i);
        g_assert_cmpint(vh_written_add(written, &i, sizeof(i)), ==, 0);
    }
    return world->excess ? vh_written_add(written, "rubbish", world->excess) : 0;
}

static int on_look(void *context, const uint8_t *key, uint8_t *value)
{
    const struct world *world = context;
    uint32_t number;

    memcpy(&number, key, sizeof(number));
    if (!world->facts[number].mask)
        return -ENOENT;
    memcpy(value, &world->facts[number], sizeof(struct value));
    return 0;
}

static int on_take_out(void *context, const uint8_t *key)
{
    struct world *world = context;
    uint32_t number;

    if (world->meanwhile)
        world->meanwhile(world, TASKS);
    memcpy(&number, key, sizeof(number));
    if (world->take_out_error)
        return world->take_out_error;
    if (!world->facts[number].mask)
        return -ENOENT;
    world->facts[number] = (struct value){0};
    world->taken++;
    return 0;
}

static const struct vh_sweep_ops ops = {on_read, on_walk, on_look, on_take_out};

static long sweep(struct world *world)
{
    return vh_sweep(&ops, world, sizeof(uint32_t), sizeof(struct value));
}

static void assert_true_state(const struct world *world)
{
    for (uint32_t i = 0; i < TASKS; i++)
        g_assert_cmpuint(world->facts[i].mask, ==, world->tasks[i]);
}

static void test_nothing_stale(void)
{
    struct world world = {0};

    g_assert_cmpint(sweep(&world), ==, 0); /* nothing at all */
    change(&world, 3, 1);
    change(&world, 40, 2);
    g_assert_cmpint(sweep(&world), ==, 0);
    g_assert_cmpuint(world.walks, ==, 2); /* one each */
    assert_true_state(&world);
}

static void test_missed_events(void)
{
    struct world world = {0};

    change(&world, 3, 1);
    change(&world, 4, 1);
    change(&world, 5, 1);
    world.tasks[3] = 0; /* ended, widened, narrowed, begun: none was shown */
    world.tasks[4] = 0;
    world.tasks[5] = 2;
    world.tasks[6] = 4;
    g_assert_cmpint(sweep(&world), ==, 2);
    g_assert_cmpuint(world.walks, ==, 2);
    assert_true_state(&world);
    g_assert_cmpint(sweep(&world), ==, 0);
    assert_true_state(&world);
}

static void test_walk_that_fails(void)
{
    struct world world = {.walk_error_at = 10};

    change(&world, 3, 1);
    change(&world, 20, 1);
    world.tasks[20] = 0;
    g_assert_cmpint(sweep(&world), ==, -EIO);
    g_assert_cmpuint(world.facts[20].mask, ==, 1);
    g_assert_cmpuint(world.taken, ==, 0);
}

static void test_walk_that_writes_rubbish(void)
{
    struct world world = {.excess = 7};

    change(&world, 20, 1);
    world.tasks[20] = 0;
    g_assert_cmpint(sweep(&world), ==, -EBADMSG);
    g_assert_cmpuint(world.taken, ==, 0);
}

static void test_removal_that_fails(void)
{
    struct world world = {.take_out_error = -EBUSY};

    change(&world, 3, 1);
    change(&world, 20, 1);
    world.tasks[20] = 0;
    g_assert_cmpint(sweep(&world), ==, -EBUSY);
    g_assert_cmpuint(world.facts[3].mask, ==, 1);
}

/* Number 20 was another's; a new task gets it, bound likewise, when the walk is past it. */
static void reuse(struct world *world, uint32_t number)
{
    if (number != 10 || world->walks > 1)
        return;
    world->facts[20] = (struct value){0}; /* and its hook has the stale fact replaced */
    change(world, 20, 1);
}

static void test_number_used_again(void)
{
    struct world world = {.meanwhile = reuse};

    change(&world, 20, 1);
    world.tasks[20] = 0;
    g_assert_cmpint(sweep(&world), ==, 0); /* it is not what was there before */
    g_assert_cmpuint(world.taken, ==, 0);
    assert_true_state(&world);
}

static void reuse_late(struct world *world, uint32_t number)
{
    if (number == TASKS && world->taken == 0)
        change(world, 20, 2);
}

static void test_written_right_before_the_removal(void)
{
    struct world world = {.meanwhile = reuse_late};

    change(&world, 20, 1);
    world.tasks[20] = 0;
    g_assert_cmpint(sweep(&world), ==, 1);
    g_assert_cmpuint(world.walks, ==, 2);
    assert_true_state(&world); /* by the second walk */
}

/* Anything may happen at any time. What happened before the sweep may have been missed, what
 * happens during it is shown. */
static void happen(struct world *world, uint32_t number)
{
    (void)number;
    if (g_rand_boolean(world->random))
        change(world, (uint32_t)g_rand_int_range(world->random, 1, TASKS),
               g_rand_boolean(world->random) ? (uint32_t)g_rand_int_range(world->random, 1, 4) : 0);
}

static void test_random(void)
{
    for (guint32 seed = 0; seed < 2000; seed++) {
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        struct world world = {.random = random};

        for (guint i = 0; i < 200; i++) {
            uint32_t number = (uint32_t)g_rand_int_range(random, 1, TASKS);

            world.tasks[number] =
                g_rand_boolean(random) ? (uint32_t)g_rand_int_range(random, 1, 4) : 0;
            if (g_rand_int_range(random, 0, 4))
                evaluate(&world, number);
        }
        if (seed % 2)
            world.meanwhile = happen;
        g_assert_cmpint(sweep(&world), >=, 0);
        g_assert_cmpuint(world.walks, <=, 2);
        assert_true_state(&world);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sweep/nothing-stale", test_nothing_stale);
    g_test_add_func("/sweep/missed-events", test_missed_events);
    g_test_add_func("/sweep/walk-that-fails", test_walk_that_fails);
    g_test_add_func("/sweep/walk-that-writes-rubbish", test_walk_that_writes_rubbish);
    g_test_add_func("/sweep/removal-that-fails", test_removal_that_fails);
    g_test_add_func("/sweep/number-used-again", test_number_used_again);
    g_test_add_func("/sweep/written-right-before-the-removal",
                    test_written_right_before_the_removal);
    g_test_add_func("/sweep/random", test_random);
    return g_test_run();
}
