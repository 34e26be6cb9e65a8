/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns an object's bytes into attached BPF programs. */
#pragma once

#include <bpf/libbpf.h>

#include "session.h"
#include "sweep.h"

/* An object in the kernel. Freed by vh_loaded_free, which detaches it; so does the death of this
 * process. */
struct vh_loaded {
    struct bpf_object *object;
    struct bpf_link **links; /* one per attached program */
    uint32_t attached;
    int *iterators; /* descriptors of the links among them that are iterators; borrowed */
    uint32_t iterator_count;
};

/* Opens, tunes, loads and attaches. `cpus`: number of possible guest CPUs. 0 or -errno with
 * `reply`'s text and, where the kernel or libbpf said something, log. */
int vh_load(const struct vh_transfer *transfer, uint32_t cpus, struct vh_loaded *loaded,
            struct vh_reply *reply);
void vh_loaded_free(struct vh_loaded *loaded);

/* Runs the object's iterators once, each to its end, and appends what they write to `written`
 * (NULL: it is thrown away). 0 or the first -errno. */
int vh_loaded_iterate(const struct vh_loaded *loaded, struct vh_written *written);

/* Events that the kernel did not show to the object's programs because one was running already (0
 * before 5.12). */
uint64_t vh_loaded_misses(const struct vh_loaded *loaded);
