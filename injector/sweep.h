/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes facts out of a program's `state` that are no longer true and whose end the program missed.
 * No I/O of its own.
 *
 * Theory of operation
 *
 * A program may miss events: the kernel passes it over, a map is full, a lock is not had in time. A
 * walk (the program's iterators) finds what is missing in `state`, but it meets only what there is,
 * never what there was. So a program can promise (VH_WALK_CONFIRMS in guest-bpf/vhint.bpf.h) that
 * its walk writes the key of each fact that holds, and then
 *
 *     before = all facts;  walk;  for each in `before` that the walk did not confirm, and that is
 * still what it was: take it out;  if any was taken out: walk again
 *
 * 1. A false fact goes. It is in `before`; nothing changes it, since its end was missed; no walk
 * confirms it.
 * 2. A walk that did not come to its end takes nothing out.
 * 3. A true fact stays, or comes back. What the walk met and found true it confirmed. What it met
 * and found false it has taken out or replaced itself. What it did not meet and is true
 * nevertheless came to be while the walk was under way, so that its record is younger than `before`
 * and not equal to it (the header has the time). That leaves a record written between our last look
 * at it and its removal: that one is lost, and the second walk, all of which comes later, finds it
 * again.
 * 4. Nothing is taken out after the second walk, so it need not be followed by a third; and what
 * ends from then on is an event like any other.
 * 5. A task is off the kernel's list shortly before its program sees it end. A fact that a walk
 * finds in between is taken out as if its end had been missed, which is early and not wrong.
 *
 * The host needs no hint of a removal: the walk is a snapshot's, and what a snapshot does not have
 * is gone there too. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Facts: `count` keys and values, side by side. */
struct vh_table {
    uint8_t *keys;
    uint8_t *values;
    size_t count;
};

/* What a walk wrote. */
struct vh_written {
    uint8_t *bytes; /* malloc'ed */
    size_t len;
    size_t size; /* allocated */
};

/* What a sweep works upon; `context` is the first argument of each. 0 or -errno. */
struct vh_sweep_ops {
    /* All facts as they are; both arrays malloc'ed. */
    int (*read)(void *context, struct vh_table *table);
    /* Walks to the end, appends what the walk wrote. */
    int (*walk)(void *context, struct vh_written *written);
    /* The value of one key; -ENOENT: there is none now. */
    int (*look)(void *context, const uint8_t *key, uint8_t *value);
    /* -ENOENT counts as done. */
    int (*take_out)(void *context, const uint8_t *key);
};

/* Walks and sweeps; sizes in bytes. The number of facts taken out, or -errno: -EBADMSG when what
 * the walk wrote is no row of keys. */
long vh_sweep(const struct vh_sweep_ops *ops, void *context, size_t key_size, size_t value_size);

/* Appends; 0 or -ENOMEM. */
int vh_written_add(struct vh_written *written, const void *bytes, size_t len);
void vh_cleanup_written(struct vh_written *written);
void vh_cleanup_table(struct vh_table *table);
#define vh_autotable __attribute__((cleanup(vh_cleanup_table)))
#define vh_autowritten __attribute__((cleanup(vh_cleanup_written)))
