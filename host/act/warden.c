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
#include <time.h>
#include <unistd.h>

#include "act/actuator.h"
#include "act/bell.h"
#include "act/cell.h"
#include "act/wards.h"
#include "base/error.h"
#include "net/pins.h"

#define PRIORITY 3 /* above vhintd's, which is above a boost's (wards.c) */

struct VhWarden {
    VhSaved *saved;
    pid_t process;
    guint watch;
};

/* ---- the warden's side ---- */

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

/* ---- the guard's side ---- */

/* Waits for a successor, who rings. One that did so before we listened has the file, which whoever
 * puts back is told. */
static void guard(VhSaved *saved, const char *path, guint seconds)
{
    gint64 until = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    uint32_t heard = vh_bell_count(saved);

    if (!vh_saved_next(saved, VH_SAVED_MASK, NULL) &&
        !vh_saved_next(saved, VH_SAVED_MEMORY, NULL) && !vh_net_pins_noted(path))
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

static gint64 used_us(void)
{
    struct timespec used = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (gint64)used.tv_sec * G_USEC_PER_SEC + used.tv_nsec / 1000;
}

/* Whoever goes before everybody must not take more of a CPU than a small part, however many he
 * watches and however often the bell rings. A signal, by which vhintd's end is told, ends it. */
static void rest(gint64 took_us)
{
    gint64 us = took_us * VH_BUDGET_REST;
    const struct timespec pause = {us / G_USEC_PER_SEC, us % G_USEC_PER_SEC * 1000};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* Until the owner ends. */
static void watch_over(VhSaved *saved, pid_t owner)
{
    VhWards *wards = vh_wards_new(saved, owner);
    uint32_t known = vh_bell_count(saved) - 1;
    gint64 began = used_us();

    for (;;) {
        uint32_t heard = vh_bell_count(saved);
        gint64 next = 0;

        if (getppid() != owner)
            return;
        if (heard != known)
            vh_wards_gather(wards);
        known = heard;
        next = vh_wards_tend(wards);
        rest(used_us() - began);
        began = used_us();
        vh_bell_wait(saved, heard, next);
    }
}

/* Begins the guard, whom the warden tells by one byte that vhintd has ended and all boosts are put
 * back. A warden that is ended tells nothing. Returns where to write that. */
static int begin_guard(VhSaved *saved, const char *path, guint seconds)
{
    int ends[2];
    char byte = 0;
    pid_t process = pipe2(ends, O_CLOEXEC) < 0 ? -1 : fork();

    if (process > 0)
        close(ends[0]);
    if (process)
        return process < 0 ? -1 : ends[1];
    close(ends[1]);
    prctl(PR_SET_NAME, "vhintd-guard");
    if (read(ends[0], &byte, 1) == 1)
        guard(saved, path, seconds);
    _exit(0);
}

static void keep_watch(VhSaved *saved, pid_t owner, const char *path, guint seconds)
{
    struct sched_param param = {.sched_priority = PRIORITY};
    g_autoptr(GError) error = NULL;
    int guard_end = -1;

    vh_saved_unlock(saved);
    close_range(3, ~0u, 0);
    take_signals(saved);
    if (path)
        guard_end = begin_guard(saved, path, seconds);
    prctl(PR_SET_NAME, "vhintd-warden");
    if (vh_cell_enter(&error) < 0)
        g_warning("%s", error->message);
    else if (sched_setscheduler(0, SCHED_RR, &param) == 0)
        __atomic_store_n(&vh_saved_shared(saved)->warded, 1, __ATOMIC_RELEASE);
    watch_over(saved, owner);
    end_all(saved);
    /* The one that tells of vhintd's end may be yet to come, and is no successor's. */
    (void)signal(SIGUSR1, SIG_IGN);
    if (guard_end >= 0 && write(guard_end, "", 1) < 0)
        g_warning("nobody waits for a successor: %s", g_strerror(errno));
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

static uint32_t now_ms(void)
{
    return (uint32_t)(g_get_monotonic_time() / 1000);
}

VhWarden *vh_warden_new(VhSaved *saved, const char *path, guint seconds, GError **error)
{
    VhWarden *warden = NULL;
    pid_t owner = getpid();
    pid_t process = 0;

    vh_warden_limit(saved, &(struct vh_budget_limits){VH_BUDGET_SHARE, VH_BUDGET_PERIOD_US});
    vh_saved_shared(saved)->hurry = now_ms();
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

void vh_warden_hurry(VhSaved *saved, guint ms)
{
    struct vh_saved_shared *shared = vh_saved_shared(saved);
    uint32_t now = now_ms();
    uint32_t before = __atomic_exchange_n(&shared->hurry, now + ms, __ATOMIC_ACQ_REL);

    if ((int32_t)(before - now) <= 0)
        vh_bell_ring(saved);
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
