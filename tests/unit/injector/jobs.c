/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/jobs.c: what is slow runs beside the loop, and comes back to it. */
#include "jobs.h"

#include <glib.h>
#include <poll.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

struct work {
    struct vh_job job;
    sem_t *gate; /* not before this */
    GThread *loop;
    int nice;
    bool worked;
    GArray *order; /* of the ends, as the loop sees them */
    int number;
};

static void work(struct vh_job *job)
{
    struct work *w = (struct work *)job;

    if (w->gate)
        sem_wait(w->gate);
    g_assert_true(g_thread_self() != w->loop);
    w->nice = getpriority(PRIO_PROCESS, 0);
    w->worked = true;
}

static void done(struct vh_job *job)
{
    struct work *w = (struct work *)job;

    g_assert_true(g_thread_self() == w->loop);
    g_array_append_val(w->order, w->number);
}

/* Its idle threads stay, and it with them. */
static struct vh_jobs *new_jobs(void)
{
    struct vh_jobs *jobs = g_new0(struct vh_jobs, 1);

    g_assert_cmpint(vh_jobs_init(jobs), ==, 0);
    return jobs;
}

/* As the injector's loop: sleeps until a job has ended. */
static void take_one(struct vh_jobs *jobs)
{
    struct pollfd wait = {.fd = jobs->event, .events = POLLIN};
    struct vh_job *job;
    uint64_t count;

    while (!(job = vh_jobs_take(jobs))) {
        g_assert_cmpint(poll(&wait, 1, 20000), ==, 1);
        g_assert_cmpint(read(jobs->event, &count, sizeof(count)), ==, sizeof(count));
    }
    job->done(job);
}

/* A job that hangs keeps no other from running, nor the loop. */
static void test_one_hangs(void)
{
    g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(int));
    struct vh_jobs *jobs = new_jobs();
    struct work works[3];
    sem_t gate;

    sem_init(&gate, 0, 0);
    for (int i = 0; i < 3; i++) {
        works[i] = (struct work){.job = {.work = work, .done = done},
                                 .loop = g_thread_self(),
                                 .order = order,
                                 .number = i,
                                 .gate = i == 0 ? &gate : NULL};
        vh_jobs_start(jobs, &works[i].job);
    }
    take_one(jobs);
    take_one(jobs);
    g_assert_cmpuint(order->len, ==, 2);
    g_assert_cmpuint(jobs->running, ==, 1);
    g_assert_null(vh_jobs_take(jobs));
    sem_post(&gate);
    take_one(jobs);
    g_assert_cmpint(g_array_index(order, int, 2), ==, 0);
    g_assert_cmpuint(jobs->running, ==, 0);
    for (int i = 0; i < 3; i++)
        g_assert_true(works[i].worked);
    sem_destroy(&gate);
}

static void test_many(void)
{
    g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(int));
    struct work works[VH_JOBS_MAX];
    struct vh_jobs *jobs = new_jobs();
    uint64_t sum = 0;

    for (int i = 0; i < (int)VH_JOBS_MAX; i++) {
        works[i] = (struct work){.job = {.work = work, .done = done},
                                 .loop = g_thread_self(),
                                 .order = order,
                                 .number = i};
        vh_jobs_start(jobs, &works[i].job);
    }
    while (jobs->running > 0)
        take_one(jobs);
    for (guint i = 0; i < order->len; i++)
        sum += (uint64_t)g_array_index(order, int, i);
    g_assert_cmpuint(order->len, ==, VH_JOBS_MAX);
    g_assert_cmpuint(sum, ==, VH_JOBS_MAX * (VH_JOBS_MAX - 1) / 2);
}

/* Only the thread is less urgent than the loop. */
static void test_nice(void)
{
    g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(int));
    int before = getpriority(PRIO_PROCESS, 0);
    struct work w = {.job = {.work = work, .done = done}, .loop = g_thread_self(), .order = order};
    struct vh_jobs *jobs = new_jobs();

    vh_jobs_start(jobs, &w.job);
    take_one(jobs);
    g_assert_cmpint(w.nice, ==, MIN(before + 5, 19));
    g_assert_cmpint(getpriority(PRIO_PROCESS, 0), ==, before);
}

static unsigned threads(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(dir))
        count++;
    return count;
}

/* One job after the other takes one thread; after many at once a few are kept. */
static void test_threads_are_kept(void)
{
    g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(int));
    struct work works[20];
    struct vh_jobs *jobs = new_jobs();
    unsigned before = threads();
    sem_t gate;

    sem_init(&gate, 0, 0);
    for (int i = 0; i < 40; i++) {
        struct work w = {
            .job = {.work = work, .done = done}, .loop = g_thread_self(), .order = order};

        vh_jobs_start(jobs, &w.job);
        take_one(jobs);
        g_assert_cmpuint(threads(), ==, before + 1);
    }
    for (int i = 0; i < 20; i++) {
        works[i] = (struct work){.job = {.work = work, .done = done},
                                 .loop = g_thread_self(),
                                 .order = order,
                                 .gate = &gate};
        vh_jobs_start(jobs, &works[i].job);
    }
    g_assert_cmpuint(threads(), ==, before + 20);
    for (int i = 0; i < 20; i++)
        sem_post(&gate);
    while (jobs->running > 0)
        take_one(jobs);
    while (threads() > before + VH_JOBS_IDLE)
        g_thread_yield();
    g_assert_cmpuint(threads(), ==, before + VH_JOBS_IDLE);
    sem_destroy(&gate);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* First: idle threads of the others come and go. */
    g_test_add_func("/jobs/threads-are-kept", test_threads_are_kept);
    g_test_add_func("/jobs/one-hangs", test_one_hangs);
    g_test_add_func("/jobs/many", test_many);
    g_test_add_func("/jobs/nice", test_nice);
    return g_test_run();
}
