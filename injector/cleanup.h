/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cleanup attributes: what a function owns goes with its scope, unless it is taken. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define vh_autofree __attribute__((cleanup(vh_cleanup_free)))
#define vh_autoclose __attribute__((cleanup(vh_cleanup_close)))

static inline void vh_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void vh_cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Hands a descriptor on: the variable no longer owns it. */
static inline int vh_take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* Hands memory on: the variable no longer owns it. */
#define vh_take(pointer) \
    ({ \
        __typeof__(pointer) vh_taken = (pointer); \
        (pointer) = NULL; \
        vh_taken; \
    })
