/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/trials/crowd.c, on files that look like /proc; what it opens is seen by inotify. */
#include "trials/crowd.h"

#include <math.h>
#include <string.h>

#include "lib/loop.h"
#include "lib/opens.h"
#include "lib/scratch.h"

#define HOG 11
#define BUSY 12
#define IDLE 13

struct fixture {
    char *directory;
    VhCrowd *crowd;
    guint writer;
    guint64 ticks;
};

static void write_run(const struct fixture *f, int thread, guint64 ran)
{
    g_autofree char *path = g_strdup_printf("%d/schedstat", thread);
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT " 1000 1\n", ran);

    scratch_write(f->directory, path, text);
}

static gboolean on_write(gpointer data)
{
    struct fixture *f = data;

    f->ticks++;
    write_run(f, HOG, 1000 + f->ticks * 4000000);
    write_run(f, BUSY, 1000 + f->ticks * 1000000);
    return G_SOURCE_CONTINUE;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    for (int thread = HOG; thread <= IDLE; thread++) {
        g_autofree char *path = g_strdup_printf("%d/task/%d/comm", thread, thread);

        scratch_write(f->directory, path, "x\n");
        write_run(f, thread, 1000);
    }
    scratch_write(f->directory, "loadavg", "0.00 0.01 0.05 7/402 1234\n");
    f->crowd = vh_crowd_new(f->directory);
    f->writer = g_timeout_add(5, on_write, f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_source_remove(f->writer);
    vh_crowd_free(f->crowd);
    loop_turn();
    scratch_remove(f->directory);
}

static const GArray *wait_found(struct fixture *f, gint64 now)
{
    const GArray *found = NULL;

    LOOP_UNTIL((found = vh_crowd_busiest(f->crowd, now)));
    return found;
}

/* However many ask, /proc is walked over once, and again when that is old. */
static void test_one_search(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct opens opens = opens_of(f->directory);
    const GArray *found = NULL;
    gint64 now = 0;

    for (int i = 0; i < 1000; i++)
        g_assert_null(vh_crowd_busiest(f->crowd, g_get_monotonic_time()));
    found = wait_found(f, g_get_monotonic_time());
    g_assert_cmpuint(found->len, ==, 2);
    g_assert_cmpint(g_array_index(found, pid_t, 0), ==, HOG);
    g_assert_cmpint(g_array_index(found, pid_t, 1), ==, BUSY);
    now = g_get_monotonic_time();
    for (int i = 0; i < 1000; i++)
        g_assert_nonnull(vh_crowd_busiest(f->crowd, now));
    g_assert_cmpuint(opens_count(&opens, ""), ==, 1);
    now += VH_CROWD_AGE_US;
    for (int i = 0; i < 1000; i++)
        g_assert_null(vh_crowd_busiest(f->crowd, now));
    wait_found(f, now);
    g_assert_cmpuint(opens_count(&opens, ""), ==, 1);
    opens_end(&opens);
}

/* One that is under way when the crowd ends finds nobody to tell. */
static void test_freed_while_searching(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_assert_null(vh_crowd_busiest(f->crowd, g_get_monotonic_time()));
    g_clear_pointer(&f->crowd, vh_crowd_free);
    g_usleep(100000); /* it ends meanwhile, as a rule: sanitizers see what it does then */
}

/* A file is read once in a turn, and anew in the next. */
static void test_one_look(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *idle = g_strdup_printf("%s/%d", f->directory, IDLE);
    struct opens opens = opens_of(idle);
    struct vh_crowd_reading first;
    struct vh_crowd_reading reading;
    gint64 begin = g_get_monotonic_time();

    LOOP_FOR(0.02)
    {
        for (int i = 0; i < 1000; i++)
            g_assert_cmpint(vh_crowd_read(f->crowd, IDLE, &first), ==, 0);
    }
    g_assert_cmpuint(first.run.ran, ==, 1000);
    g_assert_cmpint(first.when, >=, begin);
    g_assert_cmpuint(opens_count(&opens, "schedstat"), <=,
                     (guint)((g_get_monotonic_time() - begin) / VH_CROWD_TURN_US + 1));
    opens_end(&opens);
    write_run(f, IDLE, 5000);
    g_usleep(VH_CROWD_TURN_US);
    g_assert_cmpint(vh_crowd_read(f->crowd, IDLE, &reading), ==, 0);
    g_assert_cmpuint(reading.run.ran, ==, 5000);
    g_assert_cmpint(reading.when, >=, first.when + VH_CROWD_TURN_US);
}

static void test_what_is_read(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_crowd_reading reading;

    g_assert_cmpint(vh_crowd_read(f->crowd, 99, &reading), ==, -1);
    g_assert_cmpint(vh_crowd_read(f->crowd, 99, &reading), ==, -1);
    scratch_write(f->directory, "11/stat", "11 (a) R) R 1\n");
    scratch_write(f->directory, "12/stat", "12 (R) S 1\n");
    g_assert_true(vh_crowd_is_runnable(f->crowd, HOG));
    g_assert_false(vh_crowd_is_runnable(f->crowd, BUSY));
    g_assert_cmpfloat(vh_crowd_load(f->crowd), ==, 7);
    g_assert_nonnull(strstr(vh_crowd_missing(f->crowd), "no /proc/PID/schedstat"));
    scratch_write(f->directory, "self/schedstat", "17 0 1\n");
    g_usleep(VH_CROWD_TURN_US);
    g_assert_null(vh_crowd_missing(f->crowd));
}

#define ADD(name, func) g_test_add("/crowd/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("one-search", test_one_search);
    ADD("freed-while-searching", test_freed_while_searching);
    ADD("one-look", test_one_look);
    ADD("what-is-read", test_what_is_read);
    return g_test_run();
}
