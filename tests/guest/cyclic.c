/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sleeps until one moment after another and tells how late it woke up; or spins.
 *
 * usage: cyclic CPU fifo:PRIORITY|nice:VALUE INTERVAL_US COUNT
 * Bound to CPU. Prints one line of ns for each of COUNT wake-ups; COUNT 0: goes on for ever and prints nothing;
 * INTERVAL_US 0: spins. */
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

int main(int argc, char **argv)
{
    long interval = argc == 5 ? atol(argv[3]) * 1000 : -1;
    size_t count = argc == 5 ? (size_t)atol(argv[4]) : 0;
    int64_t *late = calloc(count + 1, sizeof(*late));
    struct timespec next;
    struct timespec now;
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET((size_t)atoi(argc > 1 ? argv[1] : "0"), &cpus);
    if (interval < 0 || interval >= NS || !late || sched_setaffinity(0, sizeof(cpus), &cpus) ||
        set_priority(argv[2])) {
        fprintf(stderr, "cyclic: wrong arguments, or not allowed; usage: cyclic CPU fifo:PRIORITY|nice:VALUE "
                        "INTERVAL_US COUNT\n");
        return 2;
    }
    mlockall(MCL_CURRENT | MCL_FUTURE);
    while (interval == 0)
        ;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (size_t i = 0; i < count || count == 0; i++) {
        advance(&next, interval);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (count == 0)
            continue;
        late[i] = (int64_t)(now.tv_sec - next.tv_sec) * NS + now.tv_nsec - next.tv_nsec;
        /* Missed moments are not made up for: each wake-up is one sleep's. */
        if (late[i] > interval)
            next = now;
    }
    for (size_t i = 0; i < count; i++)
        printf("%lld\n", (long long)late[i]);
    free(late);
    return 0;
}
