/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two processes, each bound to a CPU, send one byte to and fro through pipes, for ever.
 *
 * usage: pingpong CPU CPU; prints "going" once they do. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static void bind_to(long cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        perror("pingpong: sched_setaffinity");
        exit(1);
    }
}

static void answer(int in, int out)
{
    char byte = 0;

    while (read(in, &byte, 1) == 1 && write(out, &byte, 1) == 1)
        ;
    exit(1);
}

int main(int argc, char **argv)
{
    int to[2], fro[2];

    if (argc != 3 || pipe(to) || pipe(fro)) {
        fprintf(stderr, "usage: pingpong CPU CPU\n");
        return 2;
    }
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "pong");
        bind_to(strtol(argv[2], NULL, 10));
        answer(to[0], fro[1]);
    }
    bind_to(strtol(argv[1], NULL, 10));
    if (write(to[1], "x", 1) == 1)
        puts("going");
    fflush(stdout);
    answer(fro[0], to[1]);
}
