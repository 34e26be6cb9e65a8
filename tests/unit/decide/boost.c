/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/decide/boost.c, machine/weight.c and act/boost.c, on a thread of the test's own. */
#include "decide/boost.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/actuate.h"
#include "base/error.h"
#include "lib/loop.h"
#include "lib/scratch.h"
#include "lib/stage.h"
#include "lib/target.h"
#include "machine/weight.h"

#define MS ((guint64)1000000) /* in ns */

struct fixture {
    struct stage stage;
    struct vh_target target;
    bool allowed; /* to raise priorities */
};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_begin(&f->stage);
    f->target = target_vcpu("guest", 2, f->stage.victim.tid);
    f->allowed = setpriority(PRIO_PROCESS, (id_t)f->stage.victim.tid, -1) == 0;
    setpriority(PRIO_PROCESS, (id_t)f->stage.victim.tid, 0);
    if (!f->allowed)
        g_test_skip("no right to raise priorities: run as root");
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    stage_end(&f->stage);
}

static int nice_of(const struct fixture *f)
{
    return getpriority(PRIO_PROCESS, (id_t)f->stage.victim.tid);
}

/* One round; `kind` VH_BOOST_COUNT: no boost. */
static void round_with(struct fixture *f, VhActuate *actuate, enum vh_boost_kind kind)
{
    union vh_setting setting = {.boost = kind};

    vh_actuate_begin(actuate, target_reason, NULL);
    if (kind != VH_BOOST_COUNT)
        vh_actuate_want(actuate, &f->target, &setting, NULL);
    vh_actuate_end(actuate, "test", NULL);
}

static void assert_problem(struct fixture *f, VhActuate *actuate, const char *part)
{
    g_autofree char *former = NULL;
    const char *problem = NULL;

    vh_actuate_describe(actuate, &f->target.key, &former, &problem);
    if (!strstr(problem, part))
        g_error("\"%s\" is not in \"%s\"", part, problem);
    g_assert_null(vh_actuate_setting(actuate, &f->target.key));
}

static void test_nice(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    if (!f->allowed)
        return;
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    setpriority(PRIO_PROCESS, (id_t)f->stage.victim.tid, 3);
    round_with(f, actuate, VH_BOOST_NICE);
    g_assert_cmpint(nice_of(f), ==, VH_BOOST_NICE_VALUE);
    g_assert_nonnull(vh_actuate_setting(actuate, &f->target.key));
    round_with(f, actuate, VH_BOOST_COUNT);
    g_assert_cmpint(nice_of(f), ==, 3);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_BOOST, NULL));
    round_with(f, actuate, VH_BOOST_NICE);
    vh_actuate_free(actuate, "vhintd stops");
    g_assert_cmpint(nice_of(f), ==, 3);
}

/* Priorities that somebody else has set are his. */
static void test_others(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct sched_param param = {.sched_priority = 0};
    VhActuate *actuate = NULL;

    if (!f->allowed)
        return;
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    setpriority(PRIO_PROCESS, (id_t)f->stage.victim.tid, -20);
    round_with(f, actuate, VH_BOOST_NICE);
    assert_problem(f, actuate, "already");
    g_assert_cmpint(nice_of(f), ==, -20);
    round_with(f, actuate, VH_BOOST_COUNT);
    g_assert_cmpint(sched_setscheduler(f->stage.victim.tid, SCHED_IDLE, &param), ==, 0);
    round_with(f, actuate, VH_BOOST_NICE);
    assert_problem(f, actuate, "of its own");
    g_assert_cmpint(sched_getscheduler(f->stage.victim.tid), ==, SCHED_IDLE);
    vh_actuate_free(actuate, "end");
}

static void test_rr(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;
    g_autofree char *runtime = NULL;
    cpu_set_t own;
    const char *refused = NULL;

    if (!f->allowed)
        return;
    g_file_get_contents("/proc/sys/kernel/sched_rt_runtime_us", &runtime, NULL, NULL);
    g_assert_cmpint(sched_getaffinity(0, sizeof(own), &own), ==, 0);
    refused = vh_boost_refuse_rr(runtime, 0, (unsigned)CPU_COUNT(&own), false);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    setpriority(PRIO_PROCESS, (id_t)f->stage.victim.tid, 5);
    round_with(f, actuate, VH_BOOST_RR);
    if (refused) {
        assert_problem(f, actuate, refused);
    } else {
        g_assert_cmpint(sched_getscheduler(f->stage.victim.tid) & ~SCHED_RESET_ON_FORK, ==,
                        SCHED_RR);
        /* From one kind to another. */
        round_with(f, actuate, VH_BOOST_NICE);
        g_assert_cmpint(sched_getscheduler(f->stage.victim.tid), ==,
                        SCHED_OTHER | SCHED_RESET_ON_FORK);
        g_assert_cmpint(nice_of(f), ==, VH_BOOST_NICE_VALUE);
        round_with(f, actuate, VH_BOOST_RR);
    }
    vh_actuate_free(actuate, "end");
    g_assert_cmpint(sched_getscheduler(f->stage.victim.tid), ==, SCHED_OTHER);
    g_assert_cmpint(nice_of(f), ==, 5);
}

static void test_refuse_rr(void)
{
    g_assert_null(vh_boost_refuse_rr("950000\n", 0, 2, false));
    g_assert_nonnull(strstr(vh_boost_refuse_rr("-1\n", 0, 64, false), "not throttled"));
    g_assert_nonnull(strstr(vh_boost_refuse_rr(NULL, 0, 64, false), "not known"));
    g_assert_nonnull(strstr(vh_boost_refuse_rr("950000\n", 0, 1, false), "vhintd itself"));
    g_assert_nonnull(strstr(vh_boost_refuse_rr("950000\n", 1, 2, false), "vhintd itself"));
    g_assert_null(vh_boost_refuse_rr("950000\n", 2, 4, false));
    /* Where the warden watches, vhintd need not have a CPU without them. */
    g_assert_null(vh_boost_refuse_rr("950000\n", 1, 2, true));
    g_assert_nonnull(strstr(vh_boost_refuse_rr("-1\n", 0, 64, true), "not throttled"));
    g_assert_null(vh_boost_refuse_rr("950000\n", 1023, 2048, true));
    g_assert_nonnull(strstr(vh_boost_refuse_rr("950000\n", 1024, 2048, true), "1024 threads"));
}

/* With a kernel that has none, it says so and changes nothing. */
static void test_uclamp(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    if (!f->allowed)
        return;
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    round_with(f, actuate, VH_BOOST_UCLAMP);
    if (!vh_actuate_setting(actuate, &f->target.key)) {
        assert_problem(f, actuate, "CONFIG_UCLAMP_TASK");
        g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_BOOST, NULL));
    }
    vh_actuate_free(actuate, "end");
}

/* ---- threads that a boosted thread makes ---- */

struct child {
    pid_t tid;
    GMutex lock; /* held until it is to end */
};

static gpointer be_child(gpointer data)
{
    struct child *child = data;

    g_atomic_int_set(&child->tid, (int)syscall(SYS_gettid));
    g_mutex_lock(&child->lock);
    g_mutex_unlock(&child->lock);
    return NULL;
}

static void assert_ordinary(pid_t thread, int nice)
{
    g_assert_cmpint(getpriority(PRIO_PROCESS, (id_t)thread), ==, nice);
    g_assert_cmpint(sched_getscheduler(thread), ==, SCHED_OTHER);
}

/* The test's own thread is the boosted one, as it is what makes another. */
static void test_child(struct fixture *f, gconstpointer kind)
{
    union vh_setting setting = {.boost = GPOINTER_TO_UINT(kind)};
    pid_t self = (pid_t)syscall(SYS_gettid);
    VhActuate *actuate = NULL;
    struct child child = {0};
    GThread *thread = NULL;

    if (!f->allowed)
        return;
    g_mutex_lock(&child.lock);
    f->target = target_vcpu("guest", 2, self);
    vh_saved_shared(f->stage.saved)->warded =
        1; /* else it would be refused where there are few CPUs */
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    round_with(f, actuate, setting.boost);
    if (!vh_actuate_setting(actuate, &f->target.key)) {
        g_test_skip("real-time threads are not throttled on this host");
        vh_actuate_free(actuate, "end");
        return;
    }
    thread = g_thread_new("child", be_child, &child);
    LOOP_UNTIL(g_atomic_int_get(&child.tid));
    assert_ordinary(child.tid, 0);
    vh_actuate_free(actuate, "end");
    assert_ordinary(child.tid, 0);
    assert_ordinary(self, 0);
    g_mutex_unlock(&child.lock);
    g_thread_join(thread);
}

/* What stood before is put back, with the flag by which children inherit nothing. */
static void test_flag(struct fixture *f, gconstpointer kind)
{
    static const int policies[] = {SCHED_OTHER, SCHED_OTHER | SCHED_RESET_ON_FORK, SCHED_BATCH,
                                   SCHED_BATCH | SCHED_RESET_ON_FORK};
    struct sched_param param = {.sched_priority = 0};
    pid_t thread = f->stage.victim.tid;

    if (!f->allowed)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(policies); i++) {
        VhActuate *actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);

        g_assert_cmpint(sched_setscheduler(thread, policies[i], &param), ==, 0);
        g_assert_cmpint(setpriority(PRIO_PROCESS, (id_t)thread, 4), ==, 0);
        round_with(f, actuate, GPOINTER_TO_UINT(kind));
        if (vh_actuate_setting(actuate, &f->target.key))
            g_assert_cmpint(sched_getscheduler(thread) & SCHED_RESET_ON_FORK, !=, 0);
        vh_actuate_free(actuate, "end");
        g_assert_cmpint(sched_getscheduler(thread), ==, policies[i]);
        g_assert_cmpint(nice_of(f), ==, 4);
    }
}

/* Somebody has given it a policy of his own meanwhile: that stays. */
static void test_flag_of_others(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct sched_param param = {.sched_priority = 0};
    VhActuate *actuate = NULL;

    if (!f->allowed)
        return;
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    round_with(f, actuate, VH_BOOST_NICE);
    g_assert_cmpint(sched_setscheduler(f->stage.victim.tid, SCHED_IDLE, &param), ==, 0);
    vh_actuate_free(actuate, "end");
    g_assert_cmpint(sched_getscheduler(f->stage.victim.tid), ==, SCHED_IDLE);
    g_assert_cmpint(nice_of(f), ==, 0);
}

/* A daemon that dies leaves its file; the next one puts priorities back, and leaves masks to the
 * other actuator.
 */
static void test_crash(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;
    pid_t child = 0;
    int status = 0;

    if (!f->allowed)
        return;
    vh_saved_close(f->stage.saved);
    child = fork();
    if (child == 0) {
        VhSaved *saved = vh_saved_open(f->stage.path, NULL);
        union vh_setting boost = {.boost = VH_BOOST_NICE};
        VhHold *hold = saved ? vh_actuator_boost.probe(saved, &f->target, NULL) : NULL;

        _exit(hold && vh_actuator_boost.apply(hold, &boost, NULL) == 0 ? 0 : 1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpint(nice_of(f), ==, VH_BOOST_NICE_VALUE);
    f->stage.saved = vh_saved_open(f->stage.path, NULL);
    g_assert_nonnull(f->stage.saved);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_pin);
    g_assert_cmpint(nice_of(f), ==, VH_BOOST_NICE_VALUE);
    g_assert_cmpint(sched_getscheduler(f->stage.victim.tid), ==, SCHED_OTHER | SCHED_RESET_ON_FORK);
    vh_actuate_free(actuate, "end");
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    g_assert_cmpint(nice_of(f), ==, 0);
    g_assert_cmpint(sched_getscheduler(f->stage.victim.tid), ==, SCHED_OTHER);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_BOOST, NULL));
    vh_actuate_free(actuate, "end");
}

static void test_thread_gone(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VhActuate *actuate = NULL;

    if (!f->allowed)
        return;
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    round_with(f, actuate, VH_BOOST_NICE);
    victim_end(&f->stage.victim);
    round_with(f, actuate, VH_BOOST_COUNT);
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_BOOST, NULL));
    vh_actuate_free(actuate, "end");
}

/* ---- weights, on files that look like the kernel's ---- */

static void write_at(const struct fixture *f, const char *path, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static void write_at(const struct fixture *f, const char *path, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    scratch_write(f->stage.directory, path, text);
}

static void mount_both(const struct fixture *f)
{
    write_at(f, "self/mountinfo",
             "30 20 0:26 / %s/v2 rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
             "31 20 0:27 / %s/cpuset rw - cgroup cgroup rw,cpuset\n"
             "32 20 0:28 / %s/v1 rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n",
             f->stage.directory, f->stage.directory, f->stage.directory);
}

static void test_weight_files(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_weight_file file = {0};
    g_autoptr(GError) error = NULL;
    uint64_t weight = 0;
    pid_t tid = 4242;

    mount_both(f);
    write_at(f, "4242/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/\n0::/machine/one.scope/vcpu0\n");
    write_at(f, "v2/machine/one.scope/vcpu0/cpu.weight", "100\n");
    write_at(f, "v2/machine/one.scope/vcpu0/cgroup.threads", "4242\n");
    g_assert_cmpint(vh_weight_find(f->stage.directory, tid, &file, &error), ==, 0);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(file.path, "/v2/machine/one.scope/vcpu0/cpu.weight"));
    g_assert_cmpuint(file.most, ==, 10000);
    g_assert_cmpint(vh_weight_read(file.path, &weight), ==, 0);
    g_assert_cmpuint(weight, ==, 100);
    g_clear_pointer(&file.path, g_free);
    /* With another thread in it. */
    write_at(f, "v2/machine/one.scope/vcpu0/cgroup.threads", "4242\n4243\n");
    g_assert_cmpint(vh_weight_find(f->stage.directory, tid, &file, &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "other threads"));
    g_clear_error(&error);
    /* Version 1 beside it. */
    write_at(f, "4242/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/machine/vcpu0\n0::/\n");
    write_at(f, "v1/machine/vcpu0/cpu.shares", "1024\n");
    write_at(f, "v1/machine/vcpu0/tasks", "4242\n");
    g_assert_cmpint(vh_weight_find(f->stage.directory, tid, &file, &error), ==, 0);
    g_assert_true(g_str_has_suffix(file.path, "/v1/machine/vcpu0/cpu.shares"));
    g_clear_pointer(&file.path, g_free);
    /* In the root of both, and gone. */
    write_at(f, "4242/cgroup", "4:cpu,cpuacct:/\n0::/\n");
    g_assert_cmpint(vh_weight_find(f->stage.directory, tid, &file, &error), ==, -1);
    g_assert_nonnull(strstr(error->message, "no CPU weight"));
    g_clear_error(&error);
    g_assert_cmpint(vh_weight_find(f->stage.directory, 4243, &file, &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_NOT_CONNECTED);
}

/* The kernel's own cgroups: the thread is moved while it is boosted. */
static void test_weight_moved(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const char *root = "/sys/fs/cgroup/cpu";
    g_autofree char *first = g_strdup_printf("%s/vhint-test-%d", root, getpid());
    g_autofree char *second = g_strdup_printf("%s/vhint-test-%d-b", root, getpid());
    g_autofree char *shares = g_build_filename(first, "cpu.shares", NULL);
    g_autofree char *tasks = g_build_filename(first, "tasks", NULL);
    g_autofree char *tasks_b = g_build_filename(second, "tasks", NULL);
    g_autofree char *tasks_root = g_build_filename(root, "tasks", NULL);
    VhActuate *actuate = NULL;
    uint64_t weight = 0;

    if (!f->allowed || g_mkdir(first, 0755) < 0) {
        g_test_skip("no cgroup of version 1 with the cpu controller that may be changed");
        return;
    }
    g_assert_cmpint(g_mkdir(second, 0755), ==, 0);
    g_assert_cmpint(vh_weight_write(tasks, (uint64_t)f->stage.victim.tid), ==, 0);
    actuate = vh_actuate_new(f->stage.saved, f->stage.journal, &vh_actuator_boost);
    round_with(f, actuate, VH_BOOST_WEIGHT);
    g_assert_cmpint(vh_weight_read(shares, &weight), ==, 0);
    g_assert_cmpuint(weight, ==, 1024 * VH_BOOST_WEIGHT_FACTOR);
    g_assert_cmpint(vh_weight_write(tasks_b, (uint64_t)f->stage.victim.tid), ==, 0);
    /* Noticed after a while, put back where it was changed, and done anew where the thread is now.
     */
    g_usleep(VH_TARGET_LEFT_US);
    round_with(f, actuate, VH_BOOST_WEIGHT);
    g_assert_cmpint(vh_weight_read(shares, &weight), ==, 0);
    g_assert_cmpuint(weight, ==, 1024);
    g_clear_pointer(&shares, g_free);
    shares = g_build_filename(second, "cpu.shares", NULL);
    g_assert_cmpint(vh_weight_read(shares, &weight), ==, 0);
    g_assert_cmpuint(weight, ==, 1024 * VH_BOOST_WEIGHT_FACTOR);
    /* Somebody else's weight is left as it is. */
    g_assert_cmpint(vh_weight_write(shares, 77), ==, 0);
    round_with(f, actuate, VH_BOOST_COUNT);
    g_assert_cmpint(vh_weight_read(shares, &weight), ==, 0);
    g_assert_cmpuint(weight, ==, 77);
    /* The cgroup is gone. */
    round_with(f, actuate, VH_BOOST_WEIGHT);
    g_assert_cmpint(vh_weight_write(tasks_root, (uint64_t)f->stage.victim.tid), ==, 0);
    g_assert_cmpint(g_rmdir(second), ==, 0);
    g_assert_cmpint(g_rmdir(first), ==, 0);
    vh_actuate_free(actuate, "end");
    g_assert_null(vh_saved_next(f->stage.saved, VH_SAVED_BOOST, NULL));
}

/* ---- the budget ---- */

static const struct vh_budget_limits limits = {80, 100000};

static void test_budget(void)
{
    struct vh_budget one = {0};
    struct vh_budget *all[] = {&one};
    gint64 now = 1000000; /* a period begins */

    vh_budget_look(&one, 500 * MS, 0, &limits, now);
    g_assert_false(one.spent);
    /* It cannot have used up 80 ms before 80 ms have passed. */
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now), ==, now + 80000);
    vh_budget_look(&one, 540 * MS, 0, &limits, now + 80000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 80000), ==, now + 120000);
    vh_budget_look(&one, 580 * MS, 0, &limits, now + 99000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 99000), ==, now + 100000);
    g_assert_true(one.spent);
    vh_budget_look(&one, 600 * MS, 0, &limits, now + 100000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 100000), ==, now + 180000);
    g_assert_false(one.spent);
}

/* What was used beyond it is owed, until it is paid back; what was used unboosted is not. */
static void test_budget_owed(void)
{
    struct vh_budget one = {0};
    struct vh_budget *all[] = {&one};
    gint64 now = 1000000;

    vh_budget_look(&one, 500 * MS, 0, &limits, now);
    vh_budget_settle(all, 1, &limits, now);
    vh_budget_look(&one, 590 * MS, 0, &limits, now + 90000);
    vh_budget_settle(all, 1, &limits, now + 90000);
    g_assert_true(one.spent);
    /* Of 90 ms it owes 10. */
    vh_budget_look(&one, 600 * MS, 0, &limits, now + 100000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 100000), ==, now + 170000);
    g_assert_false(one.spent);
    /* The next look is two periods late: 240 ms were its, and it had 280. */
    vh_budget_look(&one, 880 * MS, 0, &limits, now + 400000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 400000), ==, now + 430000);
    g_assert_cmpuint((one.used_ns + MS / 2) / MS, ==, 50);
    /* It owes more than a period's. */
    vh_budget_look(&one, 1180 * MS, 0, &limits, now + 500000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 500000), ==, now + 600000);
    g_assert_true(one.spent);
    for (int i = 6; i < 8; i++) {
        vh_budget_look(&one, 1180 * MS, 0, &limits, now + i * 100000);
        vh_budget_settle(all, 1, &limits, now + i * 100000);
        g_assert_true(one.spent);
    }
    vh_budget_look(&one, 1180 * MS, 0, &limits, now + 800000);
    vh_budget_settle(all, 1, &limits, now + 800000);
    g_assert_false(one.spent);
    g_assert_cmpuint((one.used_ns + MS / 2) / MS, ==, 30);
}

/* The kernel tells exactly what a thread has used only once it is paused, and once it is boosted
 * again. */
static void test_budget_told_late(void)
{
    struct vh_budget one = {0};
    struct vh_budget *all[] = {&one};
    gint64 now = 7000000;

    vh_budget_look(&one, 500 * MS, 0, &limits, now);
    vh_budget_settle(all, 1, &limits, now);
    vh_budget_look(&one, 580 * MS, 0, &limits, now + 84000);
    vh_budget_settle(all, 1, &limits, now + 84000);
    g_assert_true(one.spent);
    vh_budget_pause(&one, 584 * MS);
    /* It was boosted for 4 ms more, and then ran for 6 ms like any other thread, of which 2 ms are
     * told by now. */
    vh_budget_look(&one, 586 * MS, 0, &limits, now + 100000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 100000), ==, now + 176000);
    g_assert_false(one.spent);
    vh_budget_resume(&one, 590 * MS);
    vh_budget_look(&one, 665 * MS, 0, &limits, now + 176000);
    g_assert_cmpint(vh_budget_settle(all, 1, &limits, now + 176000), ==, now + 181000);
    g_assert_false(one.spent);
    vh_budget_look(&one, 667 * MS, 0, &limits, now + 181000);
    vh_budget_settle(all, 1, &limits, now + 181000);
    g_assert_true(one.spent);
}

/* Policy may change how long a period is, to more or to less. */
static void test_budget_of_another_period(void)
{
    static const gint64 lengths[] = {20000, 200000, 20000};
    struct vh_budget one = {0};
    struct vh_budget *all[] = {&one};
    guint64 used = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        const struct vh_budget_limits other = {50, lengths[i]};
        gint64 now = 7000000 + 1000000 * (gint64)i;

        vh_budget_look(&one, used, 0, &other, now);
        g_assert_cmpint(vh_budget_settle(all, 1, &other, now), ==, now + lengths[i] / 2);
        g_assert_false(one.spent);
        now += lengths[i] / 2;
        used += (guint64)lengths[i] * 500;
        vh_budget_look(&one, used, 0, &other, now);
        g_assert_cmpint(vh_budget_settle(all, 1, &other, now), ==, now + lengths[i] / 2);
        g_assert_true(one.spent);
    }
}

/* Two on one host CPU share its budget, one elsewhere does not. */
static void test_budget_of_cpu(void)
{
    struct vh_budget a = {0};
    struct vh_budget b = {0};
    struct vh_budget c = {0};
    struct vh_budget *all[] = {&a, &b, &c};
    gint64 now = 1000000;

    vh_budget_look(&a, MS, 1, &limits, now);
    vh_budget_look(&b, MS, 1, &limits, now);
    vh_budget_look(&c, MS, 0, &limits, now);
    vh_budget_settle(all, 3, &limits, now);
    vh_budget_look(&a, 61 * MS, 1, &limits, now + 90000);
    vh_budget_look(&b, 31 * MS, 1, &limits, now + 90000);
    vh_budget_look(&c, 46 * MS, 0, &limits, now + 90000);
    vh_budget_settle(all, 3, &limits, now + 90000);
    g_assert_true(a.spent);
    g_assert_true(b.spent);
    g_assert_false(c.spent);
    /* Together they owe 10 ms, each its part. */
    vh_budget_look(&a, 61 * MS, 1, &limits, now + 100000);
    vh_budget_look(&b, 31 * MS, 1, &limits, now + 100000);
    vh_budget_look(&c, 46 * MS, 0, &limits, now + 100000);
    vh_budget_settle(all, 3, &limits, now + 100000);
    g_assert_cmpuint((a.used_ns + MS / 2) / MS, ==, 7);
    g_assert_cmpuint((b.used_ns + MS / 2) / MS, ==, 3);
    g_assert_cmpuint(c.used_ns, ==, 0);
}

/* Whatever threads do, and however late the looks are: all of a CPU are boosted for no more than
 * its share of the time, and what is between two looks. */
static void test_budget_property(void)
{
    enum { THREADS = 3, PERIODS = 40 };

    for (unsigned round = 0; round < 200; round++) {
        struct vh_budget budgets[THREADS] = {0};
        struct vh_budget *all[THREADS];
        guint64 used[THREADS] = {0};
        gint64 begin = 1 + g_test_rand_int_range(0, 1000000);
        gint64 now = begin;
        gint64 latest = 0;
        guint64 boosted = 0;
        int late = round % 3 * 80000; /* us, at most */

        for (unsigned i = 0; i < THREADS; i++)
            all[i] = &budgets[i];
        while (now < begin + PERIODS * limits.period_us) {
            gint64 next = 0;
            guint64 left = 0;

            for (unsigned i = 0; i < THREADS; i++)
                vh_budget_look(&budgets[i], used[i], 5, &limits, now);
            next = vh_budget_settle(all, THREADS, &limits, now);
            g_assert_cmpint(next, >, now);
            next += late ? g_test_rand_int_range(0, late) : 0;
            latest = MAX(latest, next - now);
            left = (guint64)(next - now) * 1000;
            for (unsigned i = 0; i < THREADS; i++) {
                guint64 ran = i + 1 < THREADS && round % 2
                                  ? (guint64)((double)left * g_test_rand_double())
                                  : left;

                boosted += budgets[i].spent ? 0 : ran;
                used[i] += ran;
                left -= ran;
            }
            now = next;
        }
        /* One period's is there from the beginning, whatever is left of that. */
        g_assert_cmpuint(boosted, <=,
                         (guint64)(now - begin) * 800 + (80 + (guint64)latest / 1000 + 1) * MS);
        g_assert_cmpuint(boosted, >=, late ? 0 : (PERIODS - 2) * 80 * MS);
    }
}

#define ADD(name, func) g_test_add("/boost/" name, struct fixture, NULL, set_up, func, tear_down)
#define ADD_KIND(name, kind, func) \
    g_test_add("/boost/" name, struct fixture, GUINT_TO_POINTER(kind), set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("nice", test_nice);
    ADD("others", test_others);
    ADD("rr", test_rr);
    g_test_add_func("/boost/refuse-rr", test_refuse_rr);
    ADD("uclamp", test_uclamp);
    ADD_KIND("child-nice", VH_BOOST_NICE, test_child);
    ADD_KIND("child-rr", VH_BOOST_RR, test_child);
    ADD_KIND("flag-nice", VH_BOOST_NICE, test_flag);
    ADD_KIND("flag-rr", VH_BOOST_RR, test_flag);
    ADD_KIND("flag-uclamp", VH_BOOST_UCLAMP, test_flag);
    ADD("flag-of-others", test_flag_of_others);
    ADD("crash", test_crash);
    ADD("thread-gone", test_thread_gone);
    ADD("weight-files", test_weight_files);
    ADD("weight-moved", test_weight_moved);
    g_test_add_func("/boost/budget", test_budget);
    g_test_add_func("/boost/budget-owed", test_budget_owed);
    g_test_add_func("/boost/budget-told-late", test_budget_told_late);
    g_test_add_func("/boost/budget-of-another-period", test_budget_of_another_period);
    g_test_add_func("/boost/budget-of-cpu", test_budget_of_cpu);
    g_test_add_func("/boost/budget-property", test_budget_property);
    return g_test_run();
}
