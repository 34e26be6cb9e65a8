/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/actuate.c, pin.c, boost.c, recover.c and saved.c: a daemon that does things at random
 * and ends at any point, and another that ends while it puts back what the first has left. The next
 * one finds all that it needs: each thread has what it had before vhint. */
#include "act/actuate.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/crash.h"
#include "lib/loop.h"
#include "lib/scratch.h"
#include "lib/target.h"
#include "machine/tid.h"

#define THINGS 3
#define ROUNDS 3
#define STORIES 1

/* A process that is a vCPU's thread. */
struct thing {
    char guest[16];
    struct vh_target target;
    struct vh_cpuset cpus; /* that it has while nobody acts */
    int nice;
};

struct fixture {
    char *directory;
    char *path;
    char *journal;
    struct vh_cpuset all;
    struct thing things[THINGS];
    guint32 *points; /* that a child has come to: shared with it */
    bool may_boost;
};

/* What a daemon has while it runs. */
struct daemon {
    GRand *random;
    VhSaved *saved;
    VhJournal *journal;
    VhActuate *pins;
    VhActuate *boosts;
};

/* ---- the host ---- */

static pid_t start_thing(void)
{
    pid_t process = fork();

    g_assert_cmpint(process, >=, 0);
    if (process)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

static void set_cpus(pid_t thread, const struct vh_cpuset *cpus)
{
    g_assert_cmpint(sched_setaffinity(thread, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus),
                    ==, 0);
}

static struct vh_cpuset one_cpu(GRand *random, const struct vh_cpuset *all)
{
    struct vh_cpuset one = {{0}};
    unsigned place = (unsigned)g_rand_int_range(random, 0, (gint32)vh_cpuset_count(all));
    int cpu = vh_cpuset_next(all, 0);

    while (place--)
        cpu = vh_cpuset_next(all, (unsigned)cpu + 1);
    vh_cpuset_add(&one, (unsigned)cpu);
    return one;
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    f->path = g_build_filename(f->directory, "saved", NULL);
    f->journal = g_build_filename(f->directory, "journal", NULL);
    f->points =
        mmap(NULL, sizeof(*f->points), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_assert_true(f->points != MAP_FAILED);
    g_assert_true(vh_tid_cpus(getpid(), &f->all));
    for (guint i = 0; i < THINGS; i++) {
        struct thing *thing = &f->things[i];

        g_snprintf(thing->guest, sizeof(thing->guest), "guest%u", i);
        thing->target = target_vcpu(thing->guest, i, start_thing());
        thing->target.on.process = thing->target.on.thread;
    }
    f->may_boost = setpriority(PRIO_PROCESS, (id_t)f->things[0].target.on.thread, -1) == 0;
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (guint i = 0; i < THINGS; i++) {
        kill(f->things[i].target.on.thread, SIGKILL);
        waitpid(f->things[i].target.on.thread, NULL, 0);
    }
    munmap(f->points, sizeof(*f->points));
    scratch_remove(f->directory);
    g_free(f->path);
    g_free(f->journal);
}

/* What they have before anybody acts. */
static void begin(struct fixture *f, guint32 seed)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);

    for (guint i = 0; i < THINGS; i++) {
        struct thing *thing = &f->things[i];

        thing->cpus = g_rand_int_range(random, 0, 3) ? f->all : one_cpu(random, &f->all);
        thing->nice = f->may_boost ? g_rand_int_range(random, -5, 6) : 0;
        set_cpus(thing->target.on.thread, &thing->cpus);
        setpriority(PRIO_PROCESS, (id_t)thing->target.on.thread, thing->nice);
    }
}

static void assert_as_before(const struct fixture *f)
{
    for (guint i = 0; i < THINGS; i++) {
        const struct thing *thing = &f->things[i];
        struct vh_cpuset now;

        g_assert_true(vh_tid_cpus(thing->target.on.thread, &now));
        g_assert_true(vh_cpuset_equal(&now, &thing->cpus));
        g_assert_cmpint(getpriority(PRIO_PROCESS, (id_t)thing->target.on.thread), ==, thing->nice);
    }
}

/* ---- a daemon ---- */

static void start(struct fixture *f, struct daemon *daemon, bool adopts)
{
    daemon->saved = vh_saved_open(f->path, NULL);
    g_assert_nonnull(daemon->saved);
    daemon->journal = vh_journal_new(f->journal, NULL);
    daemon->boosts = vh_actuate_new(daemon->saved, daemon->journal, &vh_actuator_boost);
    if (!adopts) {
        daemon->pins = vh_actuate_new(daemon->saved, daemon->journal, &vh_actuator_pin);
        return;
    }
    daemon->pins = vh_actuate_new_adopting(daemon->saved, daemon->journal, &vh_actuator_pin);
    for (guint i = 0; i < THINGS; i++)
        vh_actuate_take_over(daemon->pins, &f->things[i].target);
    vh_actuate_adopted(daemon->pins);
}

static void stop(struct daemon *daemon, bool hands_over)
{
    vh_actuate_free(daemon->boosts, "the end");
    if (hands_over)
        vh_actuate_leave(daemon->pins);
    else
        vh_actuate_free(daemon->pins, "the end");
    vh_journal_free(daemon->journal);
    vh_saved_close(daemon->saved);
}

/* Each of the things is named or not, and has something done to it or not. */
static void do_round(const struct fixture *f, struct daemon *daemon)
{
    vh_actuate_begin(daemon->pins, target_reason, NULL);
    vh_actuate_begin(daemon->boosts, target_reason, NULL);
    for (guint i = 0; i < THINGS; i++) {
        const struct vh_target *target = &f->things[i].target;
        union vh_setting pin = {.cpus = one_cpu(daemon->random, &f->all)};
        union vh_setting boost = {.boost = VH_BOOST_NICE};
        guint what = (guint)g_rand_int_range(daemon->random, 0, 8);

        if (what)
            vh_actuate_want(daemon->pins, target, what < 6 ? &pin : NULL, NULL);
        if (what && f->may_boost)
            vh_actuate_want(daemon->boosts, target, what % 2 ? &boost : NULL, NULL);
    }
    vh_actuate_end(daemon->pins, "a hint", NULL);
    vh_actuate_end(daemon->boosts, "a hint", NULL);
}

static void live(struct fixture *f, guint32 seed)
{
    struct daemon daemon = {.random = g_rand_new_with_seed(seed)};

    start(f, &daemon, false);
    for (guint i = 0; i < ROUNDS; i++) {
        do_round(f, &daemon);
        if (i == 0 || g_rand_int_range(daemon.random, 0, 4) == 0) {
            stop(&daemon, true);
            start(f, &daemon, true);
        }
    }
    stop(&daemon, false);
}

static void put_back(struct fixture *f, guint32 seed)
{
    struct daemon daemon = {0};

    start(f, &daemon, seed % 2);
    stop(&daemon, false);
}

/* Runs it in a process that ends at point `at`. */
static void run(struct fixture *f, void (*what)(struct fixture *f, guint32 seed), guint32 seed,
                guint at)
{
    int status = 0;
    pid_t child = 0;

    *f->points = 0;
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        crash_begin(f->points, at);
        what(f, seed);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    if (at && *f->points == at)
        g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else
        g_assert_cmpint(status, ==, 0);
}

static void assert_nothing_is_left(const struct fixture *f)
{
    VhSaved *saved = vh_saved_open(f->path, NULL);

    g_assert_nonnull(saved);
    g_assert_null(vh_saved_next(saved, VH_SAVED_MASK, NULL));
    g_assert_null(vh_saved_next(saved, VH_SAVED_BOOST, NULL));
    vh_saved_close(saved);
}

/* Without a crash it puts back what it did; with one, others do. */
static void tell(struct fixture *f, guint32 seed)
{
    guint points = 0;

    begin(f, seed);
    run(f, live, seed, 0);
    assert_as_before(f);
    points = *f->points;
    g_test_message("seed %u: %u points", seed, points);
    g_assert_cmpuint(points, >, 50);
    for (guint at = 1; at <= points; at++) {
        guint then = g_test_rand_bit() ? 0 : (guint)g_test_rand_int_range(1, 60);

        run(f, live, seed, at);
        if (then)
            run(f, put_back, seed + at, then);
        run(f, put_back, seed + at, 0);
        assert_as_before(f);
        assert_nothing_is_left(f);
    }
}

static void test_any_point(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!crash_is_possible()) {
        g_test_skip("this machine's stores cannot be caught: x86-64 only");
        return;
    }
    for (guint i = 0; i < STORIES; i++)
        tell(f, (guint32)g_test_rand_int());
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/crash-property/any-point", struct fixture, NULL, set_up, test_any_point,
               tear_down);
    return g_test_run();
}
