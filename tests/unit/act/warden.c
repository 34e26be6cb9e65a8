/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/act/warden.c, with a vhintd of the test's own in one process and a busy thread in another.
 */
#include "act/warden.h"
#include "act/bell.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/actuate.h"
#include "base/sanitized.h"
#include "lib/loop.h"
#include "lib/scratch.h"
#include "lib/target.h"
#include "machine/tid.h"

struct fixture {
    char *directory;
    char *path;
    pid_t busy;
    pid_t stranger; /* 0: not started */
    pid_t owner;    /* 0: not started */
    bool allowed;
};

static pid_t start(void (*run)(const struct fixture *f, enum vh_boost_kind kind),
                   const struct fixture *f, enum vh_boost_kind kind)
{
    pid_t process = fork();

    g_assert_cmpint(process, >=, 0);
    if (process)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run(f, kind);
    _exit(0);
}

static void spin(G_GNUC_UNUSED const struct fixture *f, G_GNUC_UNUSED enum vh_boost_kind kind)
{
    for (;;)
        ;
}

static VhSaved *open_warded(const struct fixture *f)
{
    VhSaved *saved = vh_saved_open(f->path, NULL);

    if (!vh_warden_new(saved, NULL, 0, NULL))
        _exit(1);
    LOOP_UNTIL(vh_bell_is_warded(saved));
    return saved;
}

/* Boosts one thread. */
static void boost(const struct fixture *f, VhSaved *saved, enum vh_boost_kind kind)
{
    g_autofree char *journal = g_build_filename(f->directory, "journal", NULL);
    union vh_setting setting = {.boost = kind};
    struct vh_target target = target_vcpu("guest", 2, f->busy);
    VhActuate *actuate = NULL;

    actuate = vh_actuate_new(saved, vh_journal_new(journal, NULL), &vh_actuator_boost);
    vh_actuate_begin(actuate, target_reason, NULL);
    vh_actuate_want(actuate, &target, &setting, NULL);
    vh_actuate_end(actuate, "test", NULL);
}

/* What vhintd is to the warden. */
static void own(const struct fixture *f, enum vh_boost_kind kind)
{
    boost(f, open_warded(f), kind);
    for (;;)
        pause();
}

/* Spends little, but more than a budget of a tenth. */
static void burn(G_GNUC_UNUSED const struct fixture *f, G_GNUC_UNUSED enum vh_boost_kind kind)
{
    for (;;) {
        gint64 until = g_get_monotonic_time() + 3000;

        while (g_get_monotonic_time() < until)
            ;
        g_usleep(7000);
    }
}

/* The same with a slot of a thread that has ended, whose number another one has by now. */
static void own_beside_stranger(const struct fixture *f, enum vh_boost_kind kind)
{
    const struct vh_target target = target_vcpu("guest", 3, f->stranger);
    struct vh_thread_id former = target.on;
    VhSaved *saved = NULL;
    struct vh_saved_slot *slot = NULL;

    saved = open_warded(f);
    vh_warden_limit(saved,
                    &(struct vh_budget_limits){VH_BUDGET_SHARE_MIN, VH_BUDGET_PERIOD_MIN_US});
    boost(f, saved, kind);
    former.start--;
    slot = vh_saved_take(saved);
    slot->kind = VH_SAVED_BOOST;
    vh_saved_set_key(slot, &target.key);
    vh_saved_set_thread(slot, &former);
    slot->boost = (struct vh_saved_boost){.kind = VH_BOOST_RR, .policy = SCHED_OTHER};
    __atomic_store_n(&slot->state, VH_SAVED_APPLIED, __ATOMIC_RELEASE);
    vh_bell_ring(saved);
    for (;;)
        pause();
}

/* Is in a hurry for a while, and boosts nobody. */
static void own_in_a_hurry(const struct fixture *f, G_GNUC_UNUSED enum vh_boost_kind kind)
{
    vh_warden_hurry(open_warded(f), 500);
    for (;;)
        pause();
}

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *runtime = NULL;
    struct sched_param param = {.sched_priority = 1};

    f->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    f->path = g_build_filename(f->directory, "saved", NULL);
    f->busy = start(spin, f, 0);
    g_file_get_contents("/proc/sys/kernel/sched_rt_runtime_us", &runtime, NULL, NULL);
    f->allowed = runtime && *runtime != '-' && sched_setscheduler(f->busy, SCHED_RR, &param) == 0;
    param.sched_priority = 0;
    if (f->allowed)
        g_assert_cmpint(sched_setscheduler(f->busy, SCHED_OTHER, &param), ==, 0);
    else
        g_test_skip("no real-time threads here: run as root, with sched_rt_runtime_us and "
                    "real-time cgroups allowing");
}

static void end(pid_t *process)
{
    if (!*process)
        return;
    kill(*process, SIGKILL);
    waitpid(*process, NULL, 0);
    *process = 0;
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    end(&f->owner);
    end(&f->busy);
    end(&f->stranger);
    scratch_remove(f->directory);
    g_free(f->path);
}

static bool has_policy(pid_t process, int policy)
{
    return (sched_getscheduler(process) & ~SCHED_RESET_ON_FORK) == policy;
}

static bool is_rr(const struct fixture *f)
{
    return has_policy(f->busy, SCHED_RR);
}

static void wait_rr(const struct fixture *f, bool rr)
{
    LOOP_UNTIL(is_rr(f) == rr);
}

/* A thread of another process that never sleeps: its time is known, its budget holds, each period
 * anew. */
static void test_budget(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    uint64_t boosted = 0;
    uint64_t all = 0;

    if (!f->allowed)
        return;
    f->owner = start(own, f, VH_BOOST_RR);
    wait_rr(f, true);
    for (int i = 0; i < 4; i++) {
        wait_rr(f, false);
        wait_rr(f, true);
    }
    LOOP_FOR(1)
    {
        boosted += is_rr(f);
        all++;
    }
    /* By time, not by CPU time: where others keep it from running, it is boosted for longer. */
    g_assert_cmpuint(boosted, >, 0);
    g_assert_cmpuint(boosted, <, all);
}

/* A vhintd in a hurry goes before others, and not for longer than that. */
static void test_hurry(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!f->allowed)
        return;
    f->owner = start(own_in_a_hurry, f, 0);
    LOOP_UNTIL(has_policy(f->owner, SCHED_RR));
    LOOP_UNTIL(has_policy(f->owner, SCHED_OTHER));
}

static void assert_put_back(struct fixture *f)
{
    end(&f->owner);
    LOOP_UNTIL(!is_rr(f) &&
               getpriority(PRIO_PROCESS, (id_t)f->busy) == getpriority(PRIO_PROCESS, 0));
    /* For good. */
    LOOP_FOR(0.2)
    {
        g_assert_false(is_rr(f));
    }
}

/* Somebody else's real-time thread, which has a number that a boosted one had, is not touched. */
static void test_number_reused(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct sched_param param = {.sched_priority = 1};

    if (!f->allowed)
        return;
    f->stranger = start(burn, f, 0);
    g_assert_cmpint(sched_setscheduler(f->stranger, SCHED_RR, &param), ==, 0);
    f->owner = start(own_beside_stranger, f, VH_BOOST_RR);
    wait_rr(f, true);
    for (int i = 0; i < 10; i++) {
        wait_rr(f, false);
        g_assert_cmpint(sched_getscheduler(f->stranger), ==, SCHED_RR);
        wait_rr(f, true);
    }
}

static char *status_of(pid_t process)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", process);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* The first child of a process. */
static pid_t child_of(pid_t process)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", process, process);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return (pid_t)strtol(text, NULL, 10);
}

/* It can do little beside that. */
static void test_confined(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree char *status = NULL;

    if (!f->allowed)
        return;
    f->owner = start(own, f, VH_BOOST_RR);
    wait_rr(f, true);
    status = status_of(child_of(f->owner));
    g_assert_nonnull(strstr(status, "Name:\tvhintd-warden\n"));
    g_assert_nonnull(strstr(status, "CapPrm:\t0000000000800000\n"));
#if !VH_SANITIZED
    g_assert_nonnull(strstr(status, "Seccomp:\t2\n"));
#endif
}

/* ---- many ---- */

#define MANY 128u

struct crowd {
    gint count; /* of those that are there */
    pid_t tids[MANY];
    pid_t warden;
};

static struct crowd *crowd; /* shared by all processes */

/* Has run between any two looks, for next to nothing. */
static gpointer doze(gpointer data)
{
    crowd->tids[GPOINTER_TO_UINT(data)] = (pid_t)syscall(SYS_gettid);
    g_atomic_int_inc(&crowd->count);
    for (;;) {
        g_thread_yield();
        g_usleep(5000);
    }
    return NULL;
}

static void be_crowd(G_GNUC_UNUSED const struct fixture *f, G_GNUC_UNUSED enum vh_boost_kind kind)
{
    for (guint i = 0; i < MANY; i++)
        g_thread_unref(g_thread_new("doze", doze, GUINT_TO_POINTER(i)));
    for (;;)
        pause();
}

static void own_many(const struct fixture *f, enum vh_boost_kind kind)
{
    g_autofree char *journal = g_build_filename(f->directory, "journal", NULL);
    VhSaved *saved = open_warded(f);
    VhActuate *actuate = vh_actuate_new(saved, vh_journal_new(journal, NULL), &vh_actuator_boost);
    union vh_setting setting = {.boost = kind};

    vh_warden_limit(saved, &(struct vh_budget_limits){VH_BUDGET_SHARE, VH_BUDGET_PERIOD_MIN_US});
    vh_actuate_begin(actuate, target_reason, NULL);
    for (guint i = 0; i < MANY; i++) {
        struct vh_target target = target_vcpu("guest", i, crowd->tids[i]);

        vh_actuate_want(actuate, &target, &setting, NULL);
    }
    vh_actuate_end(actuate, "test", NULL);
    crowd->warden = child_of(getpid());
    for (;;)
        pause();
}

/* Who goes before everybody takes little of it, whatever he watches. */
static void test_many(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gint64 past = 0;
    uint64_t used = 0;

    if (!f->allowed)
        return;
    end(&f->busy);
    f->busy = start(be_crowd, f, 0);
    LOOP_UNTIL(g_atomic_int_get(&crowd->count) == (gint)MANY);
    f->owner = start(own_many, f, VH_BOOST_RR);
    LOOP_UNTIL(g_atomic_int_get(&crowd->warden) != 0);
    g_assert_true(has_policy(crowd->tids[MANY - 1], SCHED_RR));
    past = g_get_monotonic_time();
    used = vh_tid_cpu_time(crowd->warden);
    loop_pass(1);
    used = vh_tid_cpu_time(crowd->warden) - used;
    past = g_get_monotonic_time() - past;
    /* A part in 64, and what the kernel takes for it. */
    g_assert_cmpuint(used / 1000 * 100, <, (guint64)past * 4);
}

/* However vhintd ends, its boosts do not outlive it. */
static void test_owner_killed(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!f->allowed)
        return;
    f->owner = start(own, f, VH_BOOST_RR);
    wait_rr(f, true);
    assert_put_back(f);
}

static void test_owner_killed_nice(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!f->allowed)
        return;
    f->owner = start(own, f, VH_BOOST_NICE);
    LOOP_UNTIL(getpriority(PRIO_PROCESS, (id_t)f->busy) == VH_BOOST_NICE_VALUE);
    assert_put_back(f);
}

/* vhintd itself stays able to run beside what it boosts, and is an ordinary thread when there is
 * nothing. */
static void test_owner_is_raised(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    if (!f->allowed)
        return;
    f->owner = start(own, f, VH_BOOST_RR);
    LOOP_UNTIL(has_policy(f->owner, SCHED_RR));
    end(&f->busy);
    LOOP_UNTIL(has_policy(f->owner, SCHED_OTHER));
}

#define ADD(name, func) g_test_add("/warden/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    crowd = mmap(NULL, sizeof(*crowd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_assert_true(crowd != MAP_FAILED);
    ADD("budget", test_budget);
    ADD("number-reused", test_number_reused);
    ADD("confined", test_confined);
    ADD("many", test_many);
    ADD("owner-killed", test_owner_killed);
    ADD("owner-killed-nice", test_owner_killed_nice);
    ADD("owner-is-raised", test_owner_is_raised);
    ADD("hurry", test_hurry);
    return g_test_run();
}
