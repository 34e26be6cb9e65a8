/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's side of the latency benchmark: answers single bytes on the virtio port
 * org.vhint.bench.
 *
 *  e  echoes the byte
 *  p  binds a parked task to one CPU (the one given as argument); no reply
 *  u  lets it run on all CPUs again; no reply
 *  t  replies three CLOCK_MONOTONIC readings in ns, little-endian u64: when the last p or u woke
 * this process, when its call began, when it had returned
 *
 * The bound task sleeps for ever, so the call moves nobody and is as cheap as the kernel makes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "ports.h"

struct times {
    uint64_t woken;
    uint64_t before;
    uint64_t after;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A child that does nothing until its parent dies. */
static pid_t parked_task(void)
{
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return child;
}

static int bind_to(pid_t task, const cpu_set_t *cpus, struct times *times)
{
    int r;

    times->before = now_ns();
    r = sched_setaffinity(task, sizeof(*cpus), cpus);
    times->after = now_ns();
    return r;
}

static int serve(int port, pid_t task, const cpu_set_t *one, const cpu_set_t *all)
{
    struct times times = {0};
    char request;

    for (;;) {
        ssize_t n = read(port, &request, 1);
        uint64_t woken = now_ns();

        if (n == 0) { /* the host's side is closed: a blocking read would spin */
            usleep(100000);
            continue;
        }
        if (n < 0)
            return -errno;
        if (request == 'e' && write(port, &request, 1) != 1)
            return -errno;
        if (request == 't' && write(port, &times, sizeof(times)) != (ssize_t)sizeof(times))
            return -errno;
        if (request == 'p' || request == 'u') {
            times.woken = woken;
            if (bind_to(task, request == 'p' ? one : all, &times))
                return -errno;
        }
    }
}

int main(int argc, char **argv)
{
    cpu_set_t one;
    cpu_set_t all;
    int port;
    int r;

    if (argc != 2) {
        fprintf(stderr, "usage: vhint-pulse CPU\n");
        return 2;
    }
    CPU_ZERO(&one);
    CPU_SET(strtoul(argv[1], NULL, 10), &one);
    if (sched_getaffinity(0, sizeof(all), &all)) {
        perror("vhint-pulse: sched_getaffinity");
        return 1;
    }
    port = port_open("org.vhint.bench");
    if (port < 0) {
        fprintf(stderr, "vhint-pulse: port org.vhint.bench: %s\n", strerror(-port));
        return 1;
    }
    r = serve(port, parked_task(), &one, &all);
    fprintf(stderr, "vhint-pulse: %s\n", strerror(-r));
    return 1;
}
