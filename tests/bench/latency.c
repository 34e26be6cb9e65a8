/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's side of the latency benchmark: times an echo and a hint in turn, over and over.
 *
 * usage: latency SOCKET TID ROUNDS
 *
 * SOCKET is the bench port's UNIX socket, TID the host thread of the vCPU that the guest's pulse
 * binds its task to. One round: an echo there and back; then 'p' until TID's mask has changed; then
 * 'u' until it has changed back. This process polls, so it keeps to the last CPU and the daemon's
 * pool must leave that one out. Each round prints one line of integers, ns: echo, pin, float, then
 * for the pin, in the guest's clock, woken, before, after, and in the host's clock when it was sent
 * and seen, and when the echo was sent and came back. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_NS 10000000000u

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (s < 0 || strlen(path) >= sizeof(address.sun_path))
        die(path);
    strcpy(address.sun_path, path);
    if (connect(s, (struct sockaddr *)&address, sizeof(address)))
        die(path);
    return s;
}

static uint64_t send_byte(int s, char byte)
{
    uint64_t at = now_ns();

    if (write(s, &byte, 1) != 1)
        die("write to the bench port");
    return at;
}

/* Polls until `size` bytes are there; when. */
static uint64_t receive(int s, void *out, size_t size)
{
    uint64_t begin = now_ns();
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(s, (char *)out + got, size - got);

        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            die("read from the bench port");
        else if (now_ns() - begin > DEADLINE_NS) {
            errno = ETIMEDOUT;
            die("no reply from the guest's pulse");
        }
    }
    return now_ns();
}

static cpu_set_t mask_of(pid_t tid)
{
    cpu_set_t mask;

    if (sched_getaffinity(tid, sizeof(mask), &mask))
        die("the vCPU's thread");
    return mask;
}

/* Polls until the thread's mask is not `former` any more; when. */
static uint64_t wait_change(pid_t tid, const cpu_set_t *former)
{
    uint64_t begin = now_ns();

    for (;;) {
        cpu_set_t mask = mask_of(tid);
        uint64_t now = now_ns();

        if (!CPU_EQUAL(&mask, former))
            return now;
        if (now - begin > DEADLINE_NS) {
            errno = ETIMEDOUT;
            die("the vCPU's mask did not change");
        }
    }
}

static void one_round(int s, pid_t tid)
{
    uint64_t times[3];
    cpu_set_t mask;
    char byte;
    uint64_t echo_sent = send_byte(s, 'e');
    uint64_t echo_back = receive(s, &byte, 1);
    uint64_t pin_sent;
    uint64_t pin_seen;
    uint64_t float_sent;
    uint64_t float_seen;

    mask = mask_of(tid);
    pin_sent = send_byte(s, 'p');
    pin_seen = wait_change(tid, &mask);
    send_byte(s, 't');
    receive(s, times, sizeof(times));
    mask = mask_of(tid);
    float_sent = send_byte(s, 'u');
    float_seen = wait_change(tid, &mask);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
           " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
           echo_back - echo_sent, pin_seen - pin_sent, float_seen - float_sent, times[0], times[1],
           times[2], pin_sent, pin_seen, echo_sent, echo_back);
}

int main(int argc, char **argv)
{
    cpu_set_t last;
    int s;

    if (argc != 4) {
        fprintf(stderr, "usage: latency SOCKET TID ROUNDS\n");
        return 2;
    }
    CPU_ZERO(&last);
    CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
    if (sched_setaffinity(0, sizeof(last), &last))
        die("sched_setaffinity");
    s = connect_to(argv[1]);
    for (long round = atol(argv[3]); round > 0; round--)
        one_round(s, (pid_t)atol(argv[2]));
    return 0;
}
