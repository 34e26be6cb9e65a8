/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup that decides how much CPU time one thread gets against others: v2's cpu.weight or v1's
 * cpu.shares. */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <sys/types.h>

struct vh_weight_file {
    char *path;    /* cpu.weight or cpu.shares of the thread's own cgroup */
    uint64_t most; /* the highest value it takes */
};

/* Finds it. `proc` is /proc but for tests. The weight is the whole cgroup's, so a cgroup that has
 * other threads, too, is refused, and so is the root. 0 with `*file` (its path to be freed); -1 and
 * VH_ERROR_FAILED. */
int vh_weight_find(const char *proc, pid_t thread, struct vh_weight_file *file,
                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* 0 or -errno. */
int vh_weight_read(const char *path, uint64_t *weight);
int vh_weight_write(const char *path, uint64_t weight);
