/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one event costs in this guest.
 *
 * usage: eventcost EVENT COUNT
 * EVENT is mask (a thread's mask changes), switch (two threads of one CPU wake each other: one
 * switch and one wake-up), wake (two threads of two CPUs do), fork (a process is made, ends and is
 * waited for), fault (a page is touched for the first time) or swapin (a page is touched that has
 * been swapped out). Prints the ns of one, of the quietest of BATCHES times COUNT. */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
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
static size_t answerer; /* the CPU of the other thread */
static char *swapped;   /* pages */

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
    bind_to(answerer, answerer);
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

static char *map(size_t size)
{
    char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        exit(1);
    madvise(pages, size, MADV_NOHUGEPAGE);
    return pages;
}

static void touch(char *pages, size_t size)
{
    for (size_t i = 0; i < size; i += PAGE)
        ((volatile char *)pages)[i]++;
}

static void faults(long count)
{
    size_t size = (size_t)count * PAGE;
    char *pages = map(size);

    touch(pages, size);
    munmap(pages, size);
}

static bool is_any_resident(char *pages, size_t size)
{
    unsigned char resident = 0;

    for (size_t i = 0; i < size && !(resident & 1); i += PAGE)
        if (mincore(pages + i, PAGE, &resident))
            exit(1);
    return resident & 1;
}

static void read_all(const char *pages, size_t size)
{
    for (size_t i = 0; i < size; i += PAGE)
        (void)((const volatile char *)pages)[i];
}

/* A page that had to be written first stays in memory; one that is only read again after that is
 * let go of. */
static void swap_out(long count)
{
    size_t size = (size_t)count * PAGE;

    if (!swapped) {
        swapped = map(size);
        touch(swapped, size);
    }
    for (int tries = 0; tries < 1000; tries++) {
        if (madvise(swapped, size, MADV_PAGEOUT))
            break;
        if (!is_any_resident(swapped, size))
            return;
        usleep(10000);
        read_all(swapped, size);
    }
    fprintf(stderr, "eventcost: pages are not swapped out: is there a swap device?\n");
    exit(1);
}

static void swap_in(long count)
{
    read_all(swapped, (size_t)count * PAGE);
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
    void (*prepare)(long count); /* is not timed; NULL: there is nothing to do */
    size_t answerer;
} events[] = {{"mask", masks, NULL, 0},    {"switch", switches, NULL, 0},
              {"wake", switches, NULL, 1}, {"fork", forks, NULL, 0},
              {"fault", faults, NULL, 0},  {"swapin", swap_in, swap_out, 0}};

int main(int argc, char **argv)
{
    long count = argc == 3 ? atol(argv[2]) : 0;
    uint64_t best = UINT64_MAX;
    pthread_t thread;
    size_t event = 0;

    while (argc == 3 && event < sizeof(events) / sizeof(events[0]) &&
           strcmp(events[event].name, argv[1]) != 0)
        event++;
    if (argc != 3 || event == sizeof(events) / sizeof(events[0]) || count < 2) {
        fprintf(stderr, "usage: eventcost mask|switch|wake|fork|fault|swapin COUNT\n");
        return 2;
    }
    bind_to(0, 0);
    answerer = events[event].answerer;
    if (pipe(pipes[0]) || pipe(pipes[1]) || pthread_create(&thread, NULL, answer, NULL))
        return 1;
    for (int i = 0; i < BATCHES; i++) {
        uint64_t begin = 0;

        if (events[event].prepare)
            events[event].prepare(count);
        begin = now_ns();
        events[event].run(count);
        if (now_ns() - begin < best)
            best = now_ns() - begin;
    }
    printf("%llu\n", (unsigned long long)best / (unsigned long long)count);
    fflush(stdout);
    _exit(0);
}
