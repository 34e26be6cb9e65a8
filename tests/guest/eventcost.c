/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one event costs in this guest.
 *
 * usage: eventcost EVENT COUNT
 * EVENT is mask (a thread's mask changes), switch (two threads of one CPU wake each other: one switch and one
 * wake-up), fork (a process is made, ends and is waited for) or fault (a page is touched for the first time).
 * Prints the ns of one, of the quietest of BATCHES times COUNT. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 10
#define PAGE 4096

static int pipes[2][2];

static void bind_to(size_t first, size_t last)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (size_t cpu = first; cpu <= last; cpu++)
        CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        perror("eventcost: sched_setaffinity");
        exit(1);
    }
}

static void masks(long count)
{
    for (long i = 0; i < count; i++)
        bind_to(0, (size_t)i % 2);
}

static void pass(int from, int to)
{
    char byte = 0;

    if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
        exit(1);
}

static void *answer(void *unused)
{
    for (;;)
        pass(pipes[0][0], pipes[1][1]);
    return unused;
}

static void switches(long count)
{
    char byte = 0;

    /* There and back are two. */
    for (long i = 0; i < count; i += 2)
        if (write(pipes[0][1], &byte, 1) != 1 || read(pipes[1][0], &byte, 1) != 1)
            exit(1);
}

static void forks(long count)
{
    for (long i = 0; i < count; i++) {
        pid_t child = fork();

        if (child == 0)
            _exit(0);
        if (child < 0 || waitpid(child, NULL, 0) < 0)
            exit(1);
    }
}

static void faults(long count)
{
    size_t size = (size_t)count * PAGE;
    char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        exit(1);
    madvise(pages, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += PAGE)
        ((volatile char *)pages)[i] = 1;
    munmap(pages, size);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const struct {
    const char *name;
    void (*run)(long count);
} events[] = {{"mask", masks}, {"switch", switches}, {"fork", forks}, {"fault", faults}};

int main(int argc, char **argv)
{
    long count = argc == 3 ? atol(argv[2]) : 0;
    uint64_t best = UINT64_MAX;
    pthread_t thread;
    size_t event = 0;

    while (argc == 3 && event < sizeof(events) / sizeof(events[0]) && strcmp(events[event].name, argv[1]) != 0)
        event++;
    if (argc != 3 || event == sizeof(events) / sizeof(events[0]) || count < 2) {
        fprintf(stderr, "usage: eventcost mask|switch|fork|fault COUNT\n");
        return 2;
    }
    bind_to(0, 0);
    if (pipe(pipes[0]) || pipe(pipes[1]) || pthread_create(&thread, NULL, answer, NULL))
        return 1;
    for (int i = 0; i < BATCHES; i++) {
        uint64_t begin = now_ns();

        events[event].run(count);
        if (now_ns() - begin < best)
            best = now_ns() - begin;
    }
    printf("%llu\n", (unsigned long long)best / (unsigned long long)count);
    fflush(stdout);
    _exit(0);
}
