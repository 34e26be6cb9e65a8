/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes tasks change their masks by every road at once, then holds still so that hints and /proc
 * can be compared.
 *
 * usage: churn WORKERS SECONDS [SEED]
 *
 * Each worker is a process with a companion thread. At random they set their own and each other's
 * masks (with good and bad arguments), fork, start short threads, call exec from a thread that is
 * not the leader (also in vain), and exit, to be started again. After SECONDS, or SIGUSR1, "holding
 * N" is printed and the N workers do nothing until churn gets SIGTERM, which ends them all. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 1024
#define SHARED_FD 100 /* survives the workers' exec */

struct worker {
    _Atomic int pid;
    _Atomic int companion; /* thread id */
    _Atomic int holding;
};

struct shared {
    _Atomic int stop;
    int workers;
    struct worker worker[WORKERS_MAX];
};

static struct shared *shared;
static int slot;
static int cpus;
static int priority; /* the workers' */

static unsigned int any(unsigned int *seed, unsigned int below)
{
    return (unsigned int)rand_r(seed) % below;
}

/* Full, one CPU, some CPUs, or what the kernel refuses. */
static void set_mask(int tid, unsigned int *seed)
{
    unsigned int kind = any(seed, 8);
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int cpu = 0; cpu < cpus; cpu++) {
        if (kind == 0 || (kind > 3 && any(seed, 2)))
            CPU_SET(cpu, &set);
    }
    if (kind >= 1 && kind <= 3)
        CPU_SET(any(seed, (unsigned int)cpus), &set);
    sched_setaffinity(tid, sizeof(set), &set); /* an empty one gives EINVAL, a dead task ESRCH */
}

static void pause_ms(unsigned int ms)
{
    struct timespec t = {.tv_nsec = (long)ms * 1000000};

    nanosleep(&t, NULL);
}

static void *companion(void *argument)
{
    unsigned int seed = *(unsigned int *)argument + 1;

    atomic_store(&shared->worker[slot].companion, gettid());
    do {
        set_mask(0, &seed);
        pause_ms(any(&seed, 20));
    } while (!atomic_load(&shared->stop));
    atomic_fetch_add(&shared->worker[slot].holding, 1);
    for (;;)
        pause();
    return NULL;
}

static void *short_thread(void *argument)
{
    unsigned int seed = (unsigned int)(size_t)argument;

    set_mask(0, &seed);
    if (any(&seed, 2))
        pause_ms(any(&seed, 5));
    set_mask(0, &seed);
    return NULL;
}

/* On success the whole process goes on in main() under the leader's id. */
static void *exec_thread(void *argument)
{
    unsigned int seed = (unsigned int)(size_t)argument;
    char number[16];
    char next[16];

    snprintf(number, sizeof(number), "%d", slot);
    snprintf(next, sizeof(next), "%u", seed);
    set_mask(0, &seed);
    if (any(&seed, 4) == 0)
        execl("/proc/self/exe/none", "none", (char *)NULL);
    execl("/proc/self/exe", "churn-worker", number, next, (char *)NULL);
    return NULL;
}

static void start_thread(void *(*body)(void *), unsigned int *seed)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, body, (void *)(size_t)any(seed, 1u << 30)) == 0)
        pthread_detach(thread);
}

static void fork_child(unsigned int *seed)
{
    unsigned int child_seed = any(seed, 1u << 30);
    pid_t child = fork();

    if (child == 0) {
        set_mask(0, &child_seed);
        pause_ms(any(&child_seed, 5));
        set_mask(0, &child_seed);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void act(unsigned int *seed)
{
    const struct worker *other = &shared->worker[any(seed, (unsigned int)shared->workers)];
    unsigned int what = any(seed, 100);

    if (what < 40)
        set_mask(0, seed);
    else if (what < 55)
        set_mask(atomic_load(&other->pid), seed);
    else if (what < 70)
        set_mask(atomic_load(&other->companion), seed);
    else if (what < 80)
        fork_child(seed);
    else if (what < 90)
        start_thread(short_thread, seed);
    else if (what < 95)
        start_thread(exec_thread, seed);
    else if (what < 97)
        _exit(0);
    pause_ms(any(seed, 30));
}

static _Noreturn void work(unsigned int seed)
{
    static unsigned int companion_seed;
    struct worker *self = &shared->worker[slot];
    pthread_t thread;

    companion_seed = seed;
    atomic_store(&self->pid, getpid());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pthread_create(&thread, NULL, companion, &companion_seed))
        _exit(1);
    set_mask(0, &seed);
    while (!atomic_load(&shared->stop))
        act(&seed);
    pause_ms(100); /* for the short threads; one of them may still exec, and the worker comes here
                      again */
    atomic_fetch_add(&self->holding, 1);
    for (;;)
        pause();
}

static int map_shared(int fd)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

static bool start_worker(int number, unsigned int *seed)
{
    unsigned int worker_seed = any(seed, 1u << 30);
    pid_t pid;

    atomic_store(&shared->worker[number].holding, 0);
    pid = fork();
    if (pid == 0) {
        setpriority(PRIO_PROCESS, 0, priority);
        slot = number;
        work(worker_seed);
    }
    atomic_store(&shared->worker[number].pid, pid);
    return pid > 0;
}

/* Starts again the workers that ended; the number of them. On a slow machine as many may end
 * meanwhile: hence `end`. */
static int reap(time_t end, unsigned int *seed)
{
    int started = 0;
    pid_t pid;

    while (time(NULL) < end && (pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (int i = 0; i < shared->workers; i++) {
            if (atomic_load(&shared->worker[i].pid) != pid)
                continue;
            start_worker(i, seed);
            started++;
        }
    }
    return started;
}

static bool all_hold(void)
{
    for (int i = 0; i < shared->workers; i++) {
        if (atomic_load(&shared->worker[i].holding) < 2)
            return false;
    }
    return true;
}

/* Has SIGUSR1 come? */
static bool enough(void)
{
    const struct timespec none = {0};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return sigtimedwait(&set, NULL, &none) == SIGUSR1;
}

#define NEVER ((time_t)INT_MAX)

static int churn(int workers, int seconds, unsigned int seed)
{
    bool holding = false;
    int started = 0;
    time_t begin;
    time_t stopped;
    sigset_t set;
    int got;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigdelset(&set, SIGUSR1);
    priority = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, -10); /* or the workers die faster than they are started */
    shared->workers = workers;
    for (int i = 0; i < workers; i++) {
        if (!start_worker(i, &seed))
            return 1;
    }
    begin = time(NULL);
    while (time(NULL) < begin + seconds && !enough()) {
        started += reap(begin + seconds, &seed);
        pause_ms(5);
    }
    atomic_store(&shared->stop, 1);
    stopped = time(NULL);
    for (int waited = 0; !holding && waited < 30000; waited += 20) {
        pause_ms(20);
        started += reap(NEVER, &seed);
        holding = all_hold();
    }
    pause_ms(300);
    printf(holding ? "holding %d" : "of %d workers some do not end", workers);
    printf("; stopped after %ld s, %ld s more to hold; %d workers started again\n",
           (long)(stopped - begin), (long)(time(NULL) - stopped), started);
    fflush(stdout);
    sigwait(&set, &got);
    for (int i = 0; i < workers; i++) {
        if (atomic_load(&shared->worker[i].pid) > 0)
            kill(atomic_load(&shared->worker[i].pid), SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
    return !holding;
}

int main(int argc, char **argv)
{
    cpus = (int)sysconf(_SC_NPROCESSORS_CONF);
    if (argc == 3 && strcmp(argv[0], "churn-worker") == 0) {
        if (map_shared(SHARED_FD))
            return 1;
        slot = atoi(argv[1]);
        atomic_store(&shared->worker[slot].holding, 0);
        work((unsigned int)strtoul(argv[2], NULL, 10));
    }
    if (argc < 3 || argc > 4 || atoi(argv[1]) < 1 || atoi(argv[1]) > WORKERS_MAX ||
        atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: churn WORKERS SECONDS [SEED]; 1 to %d workers\n", WORKERS_MAX);
        return 2;
    }
    if (dup2(memfd_create("churn", 0), SHARED_FD) < 0 || ftruncate(SHARED_FD, sizeof(*shared)) ||
        map_shared(SHARED_FD)) {
        perror("churn");
        return 1;
    }
    return churn(atoi(argv[1]), atoi(argv[2]),
                 argc == 4 ? (unsigned int)strtoul(argv[3], NULL, 10) : 1);
}
