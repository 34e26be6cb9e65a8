/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells of each call by which any process of this host sets a thread's CPU mask or its policy.
 *
 * usage: calls OBJECT
 * Prints "ready" once it sees them all, then one line for each:
 *     NS affinity TARGET RESULT CALLER COMM WORD,WORD...
 *     NS policy TARGET RESULT CALLER COMM POLICY
 * with the mask's words of 64 CPUs in hexadecimal, the first first. Ends with SIGTERM, and prints
 * "lost N" then: how many found no room. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include <bpf/libbpf.h>

#include "programs/calls.h"

static volatile sig_atomic_t over;

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

static int print(void *context, void *data, size_t size)
{
    const struct call *call = data;
    bool affinity = call->number == CALL_SETAFFINITY;

    (void)context;
    (void)size;
    printf("%llu %s %u %d %u ", (unsigned long long)call->time, affinity ? "affinity" : "policy",
           call->target, call->result, call->caller);
    for (size_t i = 0; i < sizeof(call->comm) && call->comm[i]; i++)
        putchar(call->comm[i] > ' ' && call->comm[i] <= '~' ? call->comm[i] : '_');
    putchar(' ');
    if (!affinity)
        printf("%u", call->policy);
    for (size_t i = 0; affinity && i < sizeof(call->mask) / sizeof(call->mask[0]); i++)
        printf("%s%llx", i ? "," : "", (unsigned long long)call->mask[i]);
    putchar('\n');
    return 0;
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "calls: %s: %s\n", what, strerror(error));
    return 1;
}

/* What is in the ring when it is to end was called before that. */
static int follow(struct bpf_object *object)
{
    struct bpf_map *lost = bpf_object__find_map_by_name(object, ".bss");
    struct ring_buffer *ring =
        ring_buffer__new(bpf_object__find_map_fd_by_name(object, "calls"), print, NULL, NULL);
    __u64 count = 0;
    __u32 zero = 0;

    if (!ring)
        return fail("its ring", errno);
    puts("ready");
    while (!over) {
        fflush(stdout);
        ring_buffer__poll(ring, 200);
    }
    ring_buffer__consume(ring);
    if (bpf_map__lookup_elem(lost, &zero, sizeof(zero), &count, sizeof(count), 0))
        return fail("its losses", errno);
    printf("lost %llu\n", (unsigned long long)count);
    return 0;
}

int main(int argc, char **argv)
{
    const struct sigaction act = {.sa_handler = on_signal}; /* no SA_RESTART: the poll ends */
    struct bpf_object *object = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
    struct bpf_program *program;

    if (argc != 2) {
        fprintf(stderr, "usage: calls OBJECT\n");
        return 2;
    }
    if (!object)
        return fail(argv[1], errno);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGTERM, &act, NULL);
    if (bpf_object__load(object))
        return fail("the kernel refuses to trace", errno);
    program = bpf_object__find_program_by_name(object, "on_exit");
    if (!bpf_program__attach(program))
        return fail("the kernel refuses to trace", errno);
    return follow(object);
}
