/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sleeps until one moment after another and tells how late it woke up; or spins.
 *
 * usage: cyclic CPU fifo:PRIORITY|nice:VALUE INTERVAL_US MS
 * Bound to CPU. After MS, prints one line of ns for each wake-up. MS 0: goes on for ever and prints
 * nothing; INTERVAL_US 0: spins for ever. A moment that has passed while it was late is left out:
 * the next sleep is INTERVAL_US from the wake-up. */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define NS 1000000000

static int set_priority(const char *text)
{
    const char *value = strchr(text, ':');
    struct sched_param param = {.sched_priority = value ? atoi(value + 1) : 0};

    if (value && strncmp(text, "fifo", 4) == 0)
        return sched_setscheduler(0, SCHED_FIFO, &param);
    return value ? setpriority(PRIO_PROCESS, 0, atoi(value + 1)) : -1;
}

static void advance(struct timespec *t, long ns)
{
    t->tv_nsec += ns;
    while (t->tv_nsec >= NS) {
        t->tv_nsec -= NS;
        t->tv_sec++;
    }
}

static int64_t since(const struct timespec *from, const struct timespec *to)
{
    return (int64_t)(to->tv_sec - from->tv_sec) * NS + to->tv_nsec - from->tv_nsec;
}

int main(int argc, char **argv)
{
    long interval = argc == 5 ? atol(argv[3]) * 1000 : -1;
    int64_t length = argc == 5 ? atol(argv[4]) * 1000000 : 0;
    size_t most = interval > 0 ? (size_t)(length / interval) + 2 : 1;
    int64_t *late = calloc(most, sizeof(*late));
    struct timespec begin;
    struct timespec next;
    struct timespec now;
    cpu_set_t cpus;
    size_t count = 0;

    CPU_ZERO(&cpus);
    CPU_SET((size_t)atoi(argc > 1 ? argv[1] : "0"), &cpus);
    if (interval < 0 || interval >= NS || !late || sched_setaffinity(0, sizeof(cpus), &cpus) ||
        set_priority(argv[2])) {
        fprintf(
            stderr,
            "cyclic: wrong arguments, or not allowed; usage: cyclic CPU fifo:PRIORITY|nice:VALUE "
            "INTERVAL_US MS\n");
        return 2;
    }
    mlockall(MCL_CURRENT | MCL_FUTURE);
    while (interval == 0)
        ;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    next = now = begin;
    while (length == 0 || (since(&begin, &now) < length && count < most)) {
        advance(&next, interval);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        late[length ? count++ : 0] = since(&next, &now);
        if (since(&next, &now) > interval)
            next = now;
    }
    for (size_t i = 0; i < count; i++)
        printf("%lld\n", (long long)late[i]);
    free(late);
    return 0;
}
