// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps descriptors in reserve.
#include "io/descriptors.h"

#include <errno.h>
#include <glib.h>
#include <sys/resource.h>
#include <unistd.h>

#define RESERVE 512u
#define PER_CLIENT \
    8u /* its socket, a thread's context while it says who it is, a watch's pipe, and room */

static unsigned reserve_of(rlim_t limit)
{
    return (unsigned)MIN(limit / 2, RESERVE);
}

static rlim_t limit_now(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* The kernel gives the lowest number that is free, so one beyond the limit less the reserve says
 * that all below are in use. */
int vh_descriptors_take(int fd)
{
    rlim_t limit = limit_now();

    if (fd < 0 || (rlim_t)fd < limit - reserve_of(limit))
        return fd;
    close(fd);
    errno = EMFILE;
    return -1;
}

unsigned vh_descriptors_clients(unsigned most)
{
    return MIN(most, MAX(reserve_of(limit_now()) / PER_CLIENT, 1));
}
