/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the warden costs, and whether its budgets hold.
 *
 * usage: warden-load THREADS SECONDS
 *
 * Threads that never sleep, as many on each CPU as on any other, are boosted to real-time, and say
 * how long they ran as such. Prints three shares, in percent: of one CPU, what the warden used; of
 * the CPUs with such threads, what those ran while they were real-time; and what the budget gives
 * them. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/actuate.h"
#include "act/bell.h"
#include "act/warden.h"
#include "machine/tid.h"

#define THREADS_MAX 4096
#define STACK 16384u
#define SETTLE_US 1000000

struct shared {
    volatile int threads; /* that are there */
    pid_t tids[THREADS_MAX];
    volatile int boosted;
    volatile uint64_t ran[THREADS_MAX]; /* as real-time, in ns */
};

static struct shared *shared;

static G_GNUC_NORETURN void die(const char *what)
{
    perror(what);
    exit(1);
}

static void bind_to(unsigned cpu)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    CPU_SET(cpu, &mask);
    if (sched_setaffinity(0, sizeof(mask), &mask) < 0)
        die("sched_setaffinity");
}

/* CPU time of the caller. */
static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_boosted(void)
{
    return (sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_RR;
}

static void *spin(void *data)
{
    unsigned number = GPOINTER_TO_UINT(data);

    bind_to(number % (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
    shared->tids[number] = (pid_t)syscall(SYS_gettid);
    __atomic_fetch_add(&shared->threads, 1, __ATOMIC_SEQ_CST);
    for (uint64_t since = now_ns(), now = 0;; since = now) {
        bool before = is_boosted();

        now = now_ns();
        if (before && is_boosted())
            shared->ran[number] += now - since;
    }
    return NULL;
}

/* A process of its own, which ends with this one. */
static pid_t start(void (*run)(unsigned number), unsigned number)
{
    pid_t process = fork();

    if (process < 0)
        die("fork");
    if (process)
        return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run(number);
    _exit(1);
}

static void be_crowd(unsigned count)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (unsigned i = 0; i < count; i++) {
        pthread_t thread;

        if (pthread_create(&thread, &attributes, spin, GUINT_TO_POINTER(i)))
            die("a thread");
    }
    for (;;)
        pause();
}

static char *reason_of(G_GNUC_UNUSED const struct vh_target *target,
                       G_GNUC_UNUSED gconstpointer cause, G_GNUC_UNUSED gpointer data)
{
    return g_strdup("");
}

/* As vhintd does it. */
static void be_owner(unsigned count)
{
    g_autofree char *directory = g_dir_make_tmp("vhint-warden-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "saved", NULL);
    g_autoptr(GError) error = NULL;
    VhSaved *saved = vh_saved_open(path, &error);
    VhActuate *actuate = NULL;
    const union vh_setting setting = {.boost = VH_BOOST_RR};

    unlink(path);
    rmdir(directory);
    if (!saved || !vh_warden_new(saved, NULL, 0, &error)) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
    while (!vh_bell_is_warded(saved))
        g_usleep(1000);
    actuate = vh_actuate_new(saved, vh_journal_new("/dev/null", NULL), &vh_actuator_boost);
    vh_actuate_begin(actuate, reason_of, NULL);
    for (unsigned i = 0; i < count; i++) {
        struct vh_target target = {.key = {"guest", VH_TARGET_VCPU, i}};

        if (vh_tid_identify("/proc", vh_tid_process(shared->tids[i]), shared->tids[i], &target.on) <
            0)
            die("a thread");
        vh_actuate_want(actuate, &target, &setting, NULL);
    }
    vh_actuate_end(actuate, "boost", NULL);
    for (unsigned i = 0; i < count; i++) {
        const struct vh_target_key key = {"guest", VH_TARGET_VCPU, i};
        g_autofree char *former = NULL;
        const char *problem = NULL;

        vh_actuate_describe(actuate, &key, &former, &problem);
        if (*problem)
            fprintf(stderr, "%s\n", problem);
        shared->boosted += !*problem;
    }
    for (;;)
        pause();
}

/* The owner's only child. */
static pid_t warden_of(pid_t owner)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", owner, owner);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !*text)
        die(path);
    return (pid_t)strtol(text, NULL, 10);
}

static double percent(uint64_t ns, gint64 us)
{
    return (double)ns / (double)us / 10;
}

static uint64_t boosted_ns(int count)
{
    uint64_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += shared->ran[i];
    return sum;
}

int main(int argc, char **argv)
{
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int count = argc == 3 ? atoi(argv[1]) : 0;
    uint64_t used = 0;
    uint64_t ran = 0;
    gint64 past = 0;
    pid_t warden = 0;
    pid_t owner = 0;

    if (count < 1 || count > THREADS_MAX) {
        fprintf(stderr, "usage: warden-load THREADS SECONDS\n");
        return 2;
    }
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    start(be_crowd, (unsigned)count);
    while (shared->threads < count)
        g_usleep(1000);
    owner = start(be_owner, (unsigned)count);
    while (shared->boosted < count)
        g_usleep(1000);
    g_usleep(SETTLE_US);
    warden = warden_of(owner);
    past = g_get_monotonic_time();
    used = vh_tid_cpu_time(warden);
    ran = boosted_ns(count);
    g_usleep((gulong)(atof(argv[2]) * G_USEC_PER_SEC));
    past = g_get_monotonic_time() - past;
    printf("%.4f %.2f %u\n", percent(vh_tid_cpu_time(warden) - used, past),
           percent(boosted_ns(count) - ran, past) / MIN(count, cpus), VH_BUDGET_SHARE);
    return 0;
}
