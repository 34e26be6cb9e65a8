// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps real-time boosts within their budgets, and ends all boosts when vhintd does.
#include "act/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/actuator.h"
#include "act/bell.h"
#include "base/error.h"
#include "machine/tid.h"

/* A boost has priority 1. */
#define OWNER_PRIORITY 2
#define PRIORITY 3
#define OWNER_SHARE 10u /* percent */

struct VhWarden {
    VhSaved *saved;
    pid_t process;
    guint watch;
};

/* ---- the warden's side ---- */

struct ward {
    struct vh_thread_id on;
    struct vh_budget budget;
};

struct work {
    VhSaved *saved;
    struct vh_budget_limits limits;
    struct ward wards[VH_SAVED_MAX]; /* by slot */
    struct vh_saved_slot *slots[VH_SAVED_MAX];
    struct vh_budget *budgets[VH_SAVED_MAX];
    unsigned count; /* of the two above */
    pid_t owner;
    struct vh_budget owners; /* its budget */
    bool raised;             /* the owner is real-time by us */
};

static void set_policy(pid_t thread, int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};

    sched_setscheduler(thread, policy, &param);
}

static void put_back(const struct ward *ward, const struct vh_saved_boost *boost)
{
    set_policy(ward->on.thread, boost->policy, boost->priority);
}

static bool is_so_still(const struct ward *ward, const struct vh_saved_slot *slot)
{
    return __atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) == VH_SAVED_APPLIED &&
           slot->thread == ward->on.thread && slot->start == ward->on.start &&
           !(__atomic_load_n(&slot->boost.flags, __ATOMIC_SEQ_CST) & VH_SAVED_ENDING);
}

/* The thread's number may be another's by now. */
static bool is_same(const struct ward *ward, const struct vh_saved_slot *slot)
{
    return vh_tid_check("/proc", &ward->on) == 0 && is_so_still(ward, slot);
}

static void pause_boost(const struct ward *ward, struct vh_saved_slot *slot)
{
    struct vh_saved_boost boost = slot->boost;

    if (!is_same(ward, slot))
        return;
    __atomic_fetch_or(&slot->boost.flags, VH_SAVED_PAUSED, __ATOMIC_SEQ_CST);
    put_back(ward, &boost);
}

static void resume_boost(const struct ward *ward, struct vh_saved_slot *slot)
{
    struct vh_saved_boost boost = slot->boost;

    if (!is_same(ward, slot))
        return;
    set_policy(ward->on.thread, SCHED_RR | SCHED_RESET_ON_FORK, 1);
    __atomic_fetch_and(&slot->boost.flags, ~VH_SAVED_PAUSED, __ATOMIC_SEQ_CST);
    if (!is_so_still(ward, slot))
        put_back(ward, &boost);
}

static void look_at(struct work *work, struct vh_saved_slot *slot, gint64 now)
{
    struct ward *ward = &work->wards[vh_saved_index(work->saved, slot)];
    uint64_t time = vh_tid_cpu_time(slot->thread);

    if (slot->boost.kind != VH_BOOST_RR || slot->boost.flags & VH_SAVED_ENDING || !time)
        return;
    if (ward->on.thread != slot->thread || ward->on.start != slot->start)
        *ward = (struct ward){.on = vh_saved_thread(slot)};
    vh_budget_look(&ward->budget, time, vh_tid_cpu(ward->on.thread), &work->limits, now);
    work->slots[work->count] = slot;
    work->budgets[work->count++] = &ward->budget;
}

/* vhintd must see to trials, facts and clients beside what it boosts; but a guest that keeps it
 * busy must not make it a real-time hog. Returns when to look again; -1: when the bell rings. */
static gint64 tend_owner(struct work *work, gint64 now)
{
    const struct vh_budget_limits limits = {OWNER_SHARE, work->limits.period_us};
    struct vh_budget *const budgets[] = {&work->owners};
    gint64 next = -1;
    bool raise = false;

    if (work->count) {
        vh_budget_look(&work->owners, vh_tid_cpu_time(work->owner), -1, &limits, now);
        next = vh_budget_settle(budgets, 1, &limits, now);
        raise = !work->owners.spent;
    }
    /* Who has given it a policy of its own means it. */
    if (raise != work->raised && (work->raised || sched_getscheduler(work->owner) == SCHED_OTHER)) {
        set_policy(work->owner, raise ? SCHED_RR | SCHED_RESET_ON_FORK : SCHED_OTHER,
                   raise ? OWNER_PRIORITY : 0);
        work->raised = raise;
    }
    return next;
}

/* Returns when to look again; -1: when the bell rings. */
static gint64 tend(struct work *work)
{
    const struct vh_saved_shared *shared = vh_saved_shared(work->saved);
    struct vh_saved_slot *slot = NULL;
    gint64 now = g_get_monotonic_time();
    gint64 next = -1;
    gint64 owners = -1;

    work->limits = (struct vh_budget_limits){__atomic_load_n(&shared->share, __ATOMIC_ACQUIRE),
                                             __atomic_load_n(&shared->period_us, __ATOMIC_ACQUIRE)};
    work->count = 0;
    while ((slot = vh_saved_next(work->saved, VH_SAVED_BOOST, slot)))
        look_at(work, slot, now);
    next = vh_budget_settle(work->budgets, work->count, &work->limits, now);
    for (unsigned i = 0; i < work->count; i++) {
        const struct ward *ward = &work->wards[vh_saved_index(work->saved, work->slots[i])];
        bool paused = work->slots[i]->boost.flags & VH_SAVED_PAUSED;

        if (ward->budget.spent && !paused)
            pause_boost(ward, work->slots[i]);
        else if (!ward->budget.spent && paused)
            resume_boost(ward, work->slots[i]);
    }
    owners = tend_owner(work, now);
    return owners < 0 ? next : MIN(next, owners);
}

static void end_all(VhSaved *saved)
{
    struct vh_saved_slot *slot = NULL;

    while ((slot = vh_saved_next(saved, VH_SAVED_BOOST, NULL)))
        if (vh_actuator_boost.recover(saved, slot, NULL) < 0)
            continue; /* gone, or nobody can */
}

/* Whoever waits for the end of vhintd's output does not wait for us; systemd's journal does not
 * wait. */
static void let_go_of_output(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO;
         null >= 0 && fd <= (getenv("JOURNAL_STREAM") ? STDOUT_FILENO : STDERR_FILENO); fd++)
        dup2(null, fd);
}

/* A successor rings. One that did so before we listened has the file, which whoever puts back is
 * told. */
static void guard(VhSaved *saved, const char *path, guint seconds)
{
    gint64 until = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    uint32_t heard = 0;

    /* The one that tells of vhintd's end may be yet to come. */
    (void)signal(SIGUSR1, SIG_IGN);
    heard = vh_bell_count(saved);
    if (!path || !vh_saved_next(saved, VH_SAVED_MASK, NULL))
        return;
    let_go_of_output();
    while (g_get_monotonic_time() < until && vh_bell_count(saved) == heard)
        vh_bell_wait(saved, heard, until);
    if (vh_bell_count(saved) == heard)
        execl("/proc/self/exe", "vhintd", "--restore", path, NULL);
}

static VhSaved *ringing; /* for on_signal alone, which has no other way to know */

/* The bell makes sure that a signal just before the wait ends it. */
static void on_signal(int number)
{
    (void)number;
    vh_bell_ring(ringing);
}

static void take_signals(VhSaved *saved)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction act = {.sa_handler = on_signal};
    sigset_t all;

    ringing = saved;
    /* Whoever stops the service signals all its processes; the warden ends when vhintd has ended.
     */
    for (gsize i = 0; i < G_N_ELEMENTS(ignored); i++)
        sigaction(ignored[i], &ignore, NULL);
    sigaction(SIGUSR1, &act, NULL);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
}

static void keep_watch(VhSaved *saved, pid_t owner, const char *path, guint seconds)
{
    struct work *work = g_new0(struct work, 1);
    struct sched_param param = {.sched_priority = PRIORITY};

    work->saved = saved;
    work->owner = owner;
    vh_saved_unlock(saved);
    close_range(3, ~0u, 0);
    take_signals(saved);
    prctl(PR_SET_NAME, "vhintd-warden");
    if (sched_setscheduler(0, SCHED_RR, &param) == 0)
        __atomic_store_n(&vh_saved_shared(saved)->warded, 1, __ATOMIC_RELEASE);
    for (;;) {
        uint32_t heard = vh_bell_count(saved);

        if (getppid() != owner)
            break;
        vh_bell_wait(saved, heard, tend(work));
    }
    end_all(saved);
    /* Waiting needs no priority, nor does what is started. */
    set_policy(0, SCHED_OTHER, 0);
    guard(saved, path, seconds);
    _exit(0);
}

/* ---- vhintd's side ---- */

static void on_gone(G_GNUC_UNUSED GPid process, G_GNUC_UNUSED gint status, gpointer data)
{
    VhWarden *warden = data;

    /* Those that it watched are vhintd's business again; new ones are refused where it could not
     * keep up. */
    __atomic_store_n(&vh_saved_shared(warden->saved)->warded, 0, __ATOMIC_RELEASE);
    g_warning("the warden has ended: real-time boosts leave vhintd a CPU from now on");
    warden->process = 0;
    warden->watch = 0;
}

VhWarden *vh_warden_new(VhSaved *saved, const char *path, guint seconds, GError **error)
{
    VhWarden *warden = NULL;
    pid_t owner = getpid();
    pid_t process = 0;

    vh_warden_limit(saved, &(struct vh_budget_limits){VH_BUDGET_SHARE, VH_BUDGET_PERIOD_US});
    /* A former vhintd's. */
    vh_bell_ring(saved);
    process = fork();
    if (process < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "starting the warden: %s", g_strerror(errno));
        return NULL;
    }
    if (process == 0)
        keep_watch(saved, owner, path, seconds);
    warden = g_new0(VhWarden, 1);
    warden->saved = saved;
    warden->process = process;
    warden->watch = g_child_watch_add(process, on_gone, warden);
    return warden;
}

void vh_warden_free(VhWarden *warden, bool leave)
{
    if (!warden)
        return;
    if (warden->watch)
        g_source_remove(warden->watch);
    if (warden->process && !leave) {
        kill(warden->process, SIGKILL);
        waitpid(warden->process, NULL, 0);
    }
    vh_saved_shared(warden->saved)->warded = 0;
    g_free(warden);
}

void vh_warden_limit(VhSaved *saved, const struct vh_budget_limits *limits)
{
    struct vh_saved_shared *shared = vh_saved_shared(saved);

    if (shared->share == limits->share && shared->period_us == (uint32_t)limits->period_us)
        return;
    __atomic_store_n(&shared->share, limits->share, __ATOMIC_RELEASE);
    __atomic_store_n(&shared->period_us, (uint32_t)limits->period_us, __ATOMIC_RELEASE);
    vh_bell_ring(saved);
}
