/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Load for the host: processes that compute and never sleep, and what they get done.
 *
 * usage: hogs COUNT
 * For each line on standard input, prints the rounds that all of them have done so far, and
 * CLOCK_MONOTONIC in ns; ends with its input. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define HOGS_MAX 1024
#define ROUND 4096

struct counter {
    volatile uint64_t rounds;
    char rest_of_line[56];
};

static void compute(struct counter *counter)
{
    volatile uint32_t value = 1;

    for (;;) {
        for (int i = 0; i < ROUND; i++)
            value = value * 1664525u + 1013904223u;
        counter->rounds++;
    }
}

int main(int argc, char **argv)
{
    int count = argc == 2 ? atoi(argv[1]) : -1;
    struct counter *counters = mmap(NULL, HOGS_MAX * sizeof(*counters), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (count < 0 || count > HOGS_MAX || counters == MAP_FAILED) {
        fprintf(stderr, "usage: hogs COUNT\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        pid_t child = fork();

        if (child < 0)
            return 1;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            compute(&counters[i]);
        }
    }
    for (int c = getchar(); c != EOF; c = getchar()) {
        struct timespec now;
        uint64_t sum = 0;

        if (c != '\n')
            continue;
        for (int i = 0; i < count; i++)
            sum += counters[i].rounds;
        clock_gettime(CLOCK_MONOTONIC, &now);
        printf("%llu %llu\n", (unsigned long long)sum,
               (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
        fflush(stdout);
    }
    return 0; /* which ends the children, too */
}
