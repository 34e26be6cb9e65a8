/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two threads, each of which binds itself to a CPU, hand numbers over through a lock-free queue, as
 * fast as they can.
 *
 * usage: spsc CPU CPU WARM_MS RUN_MS
 * Prints how many numbers went through in RUN_MS, after WARM_MS, and how many ns that took by the
 * guest's clock. Neither thread ever sleeps: when the one's CPU is taken away, the other waits for
 * it. */
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SLOTS 1024u
#define LINE 64

/* One producer, one consumer. Each keeps what it last saw of the other's index, so that a line
 * changes hands only when the queue looks full or empty. */
static struct {
    alignas(LINE) _Atomic uint64_t written; /* by the producer */
    uint64_t seen_read;
    alignas(LINE) _Atomic uint64_t read; /* by the consumer */
    uint64_t seen_written;
    alignas(LINE) uint64_t slots[SLOTS];
} queue;

static atomic_bool stop;
static int cpus[2];

static void bind_to(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set)) {
        fprintf(stderr, "spsc: cannot bind to CPU %d\n", cpu);
        exit(1);
    }
}

static void *produce(void *unused)
{
    uint64_t next = 0;

    bind_to(cpus[0]);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        if (next - queue.seen_read == SLOTS) {
            queue.seen_read = atomic_load_explicit(&queue.read, memory_order_acquire);
            continue;
        }
        queue.slots[next % SLOTS] = next;
        next++;
        atomic_store_explicit(&queue.written, next, memory_order_release);
    }
    return unused;
}

static void *consume(void *unused)
{
    uint64_t next = 0;

    bind_to(cpus[1]);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        if (next == queue.seen_written) {
            queue.seen_written = atomic_load_explicit(&queue.written, memory_order_acquire);
            continue;
        }
        if (queue.slots[next % SLOTS] != next) {
            fprintf(stderr, "spsc: number %llu is wrong\n", (unsigned long long)next);
            exit(1);
        }
        next++;
        atomic_store_explicit(&queue.read, next, memory_order_release);
    }
    return unused;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
    pthread_t threads[2];
    uint64_t begin, items;

    if (argc != 5) {
        fprintf(stderr, "usage: spsc CPU CPU WARM_MS RUN_MS\n");
        return 2;
    }
    cpus[0] = atoi(argv[1]);
    cpus[1] = atoi(argv[2]);
    if (pthread_create(&threads[0], NULL, produce, NULL) ||
        pthread_create(&threads[1], NULL, consume, NULL))
        return 1;
    sleep_ms(atol(argv[3]));
    items = atomic_load(&queue.read);
    begin = now_ns();
    sleep_ms(atol(argv[4]));
    items = atomic_load(&queue.read) - items;
    printf("%llu %llu\n", (unsigned long long)items, (unsigned long long)(now_ns() - begin));
    fflush(stdout);
    atomic_store(&stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return 0;
}
