// SPDX-License-Identifier: GPL-2.0-or-later
// Runs an object's iterators, with a bound on each thing that they may never end: see load.h.
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "load.h"

/* The kernel says EAGAIN when an iterator returns 1, which asks for the same object again, and
 * after a million objects of which nothing was written (kernel/bpf/bpf_iter.c). So many in a row
 * are no walk: there are not that many objects. */
#define AGAIN_MAX 64u

#define WRITTEN_MAX (64u << 20) /* bytes that a walk may write */

static bool is_late(uint64_t deadline)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec > deadline;
}

/* What an error of a walk means for who wrote the program. */
static int explain(const struct vh_iterator *iterator, int error, char *text)
{
    const char *why = strerror(-error);

    if (error == -ELOOP)
        why = "it returns 1, which asks for the same object for ever; let it return 0";
    else if (error == -ETIMEDOUT)
        why = "it has not come to its end in time; let it do less for each object";
    else if (error == -EFBIG)
        why = "it writes without end";
    snprintf(text, VH_TROUBLE_SIZE, "iterator %s: %s", iterator->name, why);
    return error;
}

/* Reads to the end; 0 or -errno. */
static int read_all(int fd, uint64_t deadline, struct vh_written *written)
{
    uint32_t again = 0;
    char bytes[4096];

    for (;;) {
        ssize_t got = read(fd, bytes, sizeof(bytes));

        if (got == 0)
            return 0;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        again = got > 0 ? 0 : again + (errno == EAGAIN);
        if (again > AGAIN_MAX)
            return -ELOOP;
        if (is_late(deadline))
            return -ETIMEDOUT;
        if (got < 0 || !written)
            continue;
        if (written->len + (size_t)got > WRITTEN_MAX)
            return -EFBIG;
        if (vh_written_add(written, bytes, (size_t)got))
            return -ENOMEM;
    }
}

static int iterate(const struct vh_iterator *iterator, uint64_t deadline,
                   struct vh_written *written, char *text)
{
    vh_autoclose int fd = bpf_iter_create(iterator->link);
    int error = fd < 0 ? -errno : read_all(fd, deadline, written);

    return error ? explain(iterator, error, text) : 0;
}

int vh_loaded_iterate(const struct vh_loaded *loaded, uint64_t deadline, struct vh_written *written,
                      char *text)
{
    int error = 0;

    for (uint32_t i = 0; i < loaded->iterator_count; i++) {
        char why[VH_TROUBLE_SIZE];
        int result = iterate(&loaded->iterators[i], deadline, written, why);

        if (result && error == 0) {
            error = result;
            memcpy(text, why, sizeof(why));
        }
    }
    return error;
}
