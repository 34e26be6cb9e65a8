/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turns an object's bytes into attached BPF programs. */
#pragma once

#include <bpf/libbpf.h>
#include <stdatomic.h>

#include "hooks.h"
#include "options.h"
#include "session.h"
#include "sweep.h"

struct vh_iterator {
    int link; /* descriptor, borrowed */
    const char *name;
};

/* An object in the kernel. Freed by vh_loaded_free, which detaches it; so does the death of this
 * process. */
struct vh_loaded {
    struct bpf_object *object;
    struct bpf_link **links; /* one or more for each attached program */
    uint32_t link_count;
    uint32_t attached;             /* programs */
    struct vh_iterator *iterators; /* those among them */
    uint32_t iterator_count;
    int *probes; /* descriptors, borrowed, of the links of kprobes */
    uint32_t probe_count;
    struct vh_left_out left; /* programs that are not attached, though the object has them */
};

/* How a load is to be done. */
struct vh_how {
    uint32_t cpus;               /* possible guest CPUs */
    const atomic_bool *unwanted; /* once it is set, the load gives up with -ECANCELED */
    struct vh_load_options options;
};

/* Opens, tunes, loads and attaches; of `how` all but the options, which the transfer has. 0 or
 * -errno with `reply`'s text and, where the kernel or libbpf said something, log. Slow: a job's. */
int vh_load(const struct vh_transfer *transfer, struct vh_how how, struct vh_loaded *loaded,
            struct vh_reply *reply);
/* Detaches. Slow: a job's. */
void vh_loaded_free(struct vh_loaded *loaded);

/* open.c: the first step, which asks nothing of the kernel; fills how->options. `*object` is the
 * caller's to close, also after an error; NULL: it could not be opened. 0 or -errno with `text`
 * (VH_TEXT_MAX + 1 bytes). */
int vh_open(const struct vh_transfer *transfer, struct vh_how *how, struct bpf_object **object,
            char *text);

/* attach.c: attaches what an object has loaded. 0 or -errno with `text` (VH_TEXT_MAX + 1 bytes);
 * what has been attached is in `loaded` in either case. */
int vh_attach(struct vh_loaded *loaded, const struct vh_how *how, char *text);

/* iterate.c: runs the object's iterators once, each to its end, and appends what they write to
 * `written` (NULL: it is thrown away). 0 or the first -errno with `text` (VH_TROUBLE_SIZE bytes):
 * -ELOOP when the kernel is asked for the same object again and again, -ETIMEDOUT after `deadline`
 * (ns of CLOCK_MONOTONIC), -EFBIG when they write too much. Slow: a job's. */
int vh_loaded_iterate(const struct vh_loaded *loaded, uint64_t deadline, struct vh_written *written,
                      char *text);

/* misses.c: events that the kernel did not show to the object's programs, as far as it counts them
 * (0 before 5.12). */
uint64_t vh_loaded_misses(const struct vh_loaded *loaded);
