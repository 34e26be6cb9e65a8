/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fleet benchmark's guests: does what the lines on its standard input say, and answers each
 * with one line.
 *
 * usage: fleet-guests DIRECTORY COUNT [VCPUS]
 *
 * Sockets are DIRECTORY/N.qmp and DIRECTORY/N.channel. Times are in ns. Commands:
 *   threads           every vCPU's thread
 *   adopted N         waits until guests 0 to N - 1 were asked for their state and have vCPU 0
 *                     pinned; when
 *   floating          waits until no vCPU 0 is pinned
 *   decide FIRST N M  M times, guests FIRST to FIRST + N - 1 in turn: binds a task to guest CPU 1,
 *                     then to none; the time from each hint's write to the changed mask
 *   stream N GUESTS   sends N hints in full frames, waits until they are read; the time
 *   floor N           decodes N hints in full frames, on this thread alone; CPU time
 *   poll              looks at every vCPU thread's statistics once; CPU time
 *   flood N           guests 0 to N - 1 send as much as their credit allows; 0: none does
 *   loads             how often a program was sent */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"

#define DEADLINE_NS 300000000000u

void fleet_die(const char *what)
{
    fprintf(stderr, "fleet-guests: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t fleet_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int fleet_cpus(pid_t thread)
{
    cpu_set_t mask;

    if (sched_getaffinity(thread, sizeof(mask), &mask))
        fleet_die("a vCPU's thread");
    return CPU_COUNT(&mask);
}

static void check_deadline(uint64_t begin, const char *what)
{
    if (fleet_now() - begin < DEADLINE_NS)
        return;
    errno = ETIMEDOUT;
    fleet_die(what);
}

static void do_threads(const struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->count; i++)
        for (unsigned j = 0; j < fleet->guests[i].vcpus; j++)
            printf("%d ", fleet->guests[i].threads[j]);
}

static void do_adopted(struct fleet *fleet, unsigned count)
{
    uint64_t begin = fleet_now();

    for (unsigned i = 0; i < count; i++) {
        for (;;) {
            bool adopted = false;

            pthread_mutex_lock(&fleet->lock);
            adopted = fleet->guests[i].adopted;
            pthread_mutex_unlock(&fleet->lock);
            if (adopted && fleet_cpus(fleet->guests[i].threads[0]) == 1)
                break;
            check_deadline(begin, "a guest was not adopted");
            usleep(500);
        }
    }
    printf("%" PRIu64, fleet_now());
}

static void do_floating(struct fleet *fleet)
{
    uint64_t begin = fleet_now();

    for (unsigned i = 0; i < fleet->count; i++) {
        while (fleet_cpus(fleet->guests[i].threads[0]) == 1) {
            check_deadline(begin, "a vCPU does not float");
            usleep(500);
        }
    }
}

/* Says the hint and waits for the mask to have as many CPUs as it should. */
static uint64_t decide(struct fleet *fleet, struct fleet_guest *guest, int cpu, bool pinned)
{
    uint64_t begin = 0;

    pthread_mutex_lock(&fleet->lock);
    fleet_hint(guest, FLEET_KEYS + 1, cpu);
    begin = fleet_now();
    fleet_flush(guest);
    fleet_want_output(fleet, guest);
    pthread_mutex_unlock(&fleet->lock);
    while ((fleet_cpus(guest->threads[1]) == 1) != pinned) {
        struct timespec pause = {.tv_nsec = 10000};

        check_deadline(begin, "a mask did not change");
        nanosleep(&pause, NULL);
    }
    return fleet_now() - begin;
}

static void do_decide(struct fleet *fleet, unsigned first, unsigned span, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct fleet_guest *guest = &fleet->guests[first + i % span];

        printf("%" PRIu64 " ", decide(fleet, guest, 1, true));
        printf("%" PRIu64 " ", decide(fleet, guest, -1, false));
    }
}

static void do_stream(struct fleet *fleet, unsigned hints, unsigned guests)
{
    uint64_t begin = fleet_now();
    int unread = 1;

    for (unsigned sent = 0; sent < hints;) {
        unsigned before = sent;

        pthread_mutex_lock(&fleet->lock);
        for (unsigned i = 0; i < guests && sent < hints; i++) {
            if (!fleet_batch(&fleet->guests[i], FLEET_BATCH))
                continue;
            sent += FLEET_BATCH;
            fleet_want_output(fleet, &fleet->guests[i]);
        }
        pthread_mutex_unlock(&fleet->lock);
        check_deadline(begin, "hints are not taken");
        if (sent == before)
            usleep(200);
    }
    while (unread) {
        unread = 0;
        usleep(200);
        check_deadline(begin, "hints are not read");
        pthread_mutex_lock(&fleet->lock);
        for (unsigned i = 0; i < guests; i++) {
            int queued = 0;

            if (ioctl(fleet->guests[i].channel, SIOCOUTQ, &queued) < 0)
                fleet_die("SIOCOUTQ");
            unread |= queued || fleet->guests[i].output->len;
        }
        pthread_mutex_unlock(&fleet->lock);
    }
    printf("%" PRIu64, fleet_now() - begin);
}

/* What every receiver has to do at least: find the frames and look at each hint. */
static void do_floor(unsigned hints)
{
    static uint8_t bytes[VH_FRAME_ENCODED(VH_PAYLOAD_MAX)];
    struct fleet_guest guest = {.vcpus = FLEET_VCPUS};
    struct vh_decoder decoder;
    g_autofree uint8_t *input = g_malloc(VH_DECODER_BUFFER);
    uint64_t taken = 0;
    unsigned seen = 0;

    vh_decoder_init(&decoder, input);
    while (seen < hints) {
        long len = fleet_encode_batch(&guest, FLEET_BATCH, bytes, sizeof(bytes));
        const uint8_t *at = bytes;
        size_t left = (size_t)len;
        struct vh_frame frame;
        struct vh_batch batch;
        struct vh_records records;
        struct vh_hint hint;
        uint64_t begin = cpu_time();

        if (vh_decoder_feed(&decoder, &at, &left, &frame) != 1 ||
            vh_msg_batch(&frame, &batch, &records) < 0)
            fleet_die("a frame");
        while (vh_records_next(&records, &hint))
            seen++;
        taken += cpu_time() - begin;
    }
    printf("%" PRIu64, taken);
}

static void do_poll(const struct fleet *fleet)
{
    uint64_t begin = cpu_time();
    unsigned vcpus = fleet->guests[0].vcpus;

    for (unsigned i = 0; i < fleet->count * vcpus; i++) {
        char text[512];
        pid_t thread = fleet->guests[i / vcpus].threads[i % vcpus];
        int fd = -1;

        snprintf(text, sizeof(text), "/proc/%d/schedstat", thread);
        fd = open(text, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
            fleet_die(text);
        close(fd);
    }
    printf("%" PRIu64, cpu_time() - begin);
}

static void do_flood(struct fleet *fleet, unsigned count)
{
    pthread_mutex_lock(&fleet->lock);
    for (unsigned i = 0; i < fleet->count; i++) {
        fleet->guests[i].flooding = i < count;
        fleet_want_output(fleet, &fleet->guests[i]);
    }
    pthread_mutex_unlock(&fleet->lock);
}

static void obey(struct fleet *fleet, const char *line)
{
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    char word[16] = "";

    sscanf(line, "%15s %u %u %u", word, &a, &b, &c);
    if (g_str_equal(word, "threads"))
        do_threads(fleet);
    else if (g_str_equal(word, "adopted") && a <= fleet->count)
        do_adopted(fleet, a);
    else if (g_str_equal(word, "floating"))
        do_floating(fleet);
    else if (g_str_equal(word, "decide") && b && a + b <= fleet->count)
        do_decide(fleet, a, b, c);
    else if (g_str_equal(word, "stream") && b <= fleet->count)
        do_stream(fleet, a, b);
    else if (g_str_equal(word, "floor"))
        do_floor(a);
    else if (g_str_equal(word, "poll"))
        do_poll(fleet);
    else if (g_str_equal(word, "flood") && a <= fleet->count)
        do_flood(fleet, a);
    else if (g_str_equal(word, "loads"))
        printf("%" PRIu64, fleet->loads);
    else
        fleet_die(line);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct fleet fleet = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct rlimit limit;
    pthread_t thread;
    unsigned vcpus = 0;
    char line[128];

    vcpus = argc == 4 ? (unsigned)atoi(argv[3]) : FLEET_VCPUS;
    if (argc < 3 || argc > 4 || !vcpus || vcpus > FLEET_VCPUS_MAX || sodium_init() < 0) {
        fprintf(stderr, "usage: fleet-guests DIRECTORY COUNT [VCPUS]\n");
        return 2;
    }
    fleet.directory = argv[1];
    fleet.count = (unsigned)atoi(argv[2]);
    fleet.guests = g_new0(struct fleet_guest, fleet.count);
    for (unsigned i = 0; i < fleet.count; i++)
        fleet.guests[i].vcpus = vcpus;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_TIMERSLACK, 1);
    fleet_fork(&fleet);
    fleet_listen(&fleet);
    if (pthread_create(&thread, NULL, fleet_serve, &fleet))
        fleet_die("a thread");
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin))
        obey(&fleet, line);
    return 0;
}
