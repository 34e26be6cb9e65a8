/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes its own mask as fast as it can, ends with a chosen one, and stays.
 *
 * usage: burst CALLS CPU; each call but the last binds to one of all CPUs in turn, the last to CPU (-1: to all).
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void bind_to(long cpu, long cpus)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (long i = 0; i < cpus; i++)
        if (cpu < 0 || cpu == i)
            CPU_SET((size_t)i, &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        perror("burst: sched_setaffinity");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long calls;

    if (argc != 3) {
        fprintf(stderr, "usage: burst CALLS CPU\n");
        return 2;
    }
    calls = strtol(argv[1], NULL, 10);
    for (long i = 1; i < calls; i++)
        bind_to(i % cpus, cpus);
    bind_to(strtol(argv[2], NULL, 10), cpus);
    puts("done");
    fflush(stdout);
    for (;;)
        pause();
}
