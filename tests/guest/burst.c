/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes its own mask as fast as it can, ends with a chosen one, and stays.
 *
 * usage: burst CALLS CPU; of the calls but the last each changes the mask, and most leave it the
 * CPU where it runs, since moving takes longer than all the rest: to CPU 0, to 0 and 1, to 0 and so
 * on, then the same with CPU 1. The last binds to CPU (-1: to all). */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STAY 20 /* calls */

static void bind_to(long first, long count, long cpus)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (long i = first; i < first + count; i++)
        CPU_SET((size_t)(i % cpus), &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        perror("burst: sched_setaffinity");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long calls, last;

    if (argc != 3) {
        fprintf(stderr, "usage: burst CALLS CPU\n");
        return 2;
    }
    calls = strtol(argv[1], NULL, 10);
    last = strtol(argv[2], NULL, 10);
    for (long i = 1; i < calls; i++)
        bind_to(i / STAY, 1 + i % 2, cpus);
    if (last < 0)
        bind_to(0, cpus, cpus);
    else
        bind_to(last, 1, cpus);
    puts("done");
    fflush(stdout);
    for (;;)
        pause();
}
