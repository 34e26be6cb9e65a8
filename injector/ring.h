/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a BPF ring buffer record by record, so that a reader may look at one and leave it for
 * later.
 *
 * (libbpf's own reader consumes whatever it shows.) The layout is the kernel's:
 * kernel/bpf/ringbuf.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct vh_ring {
    unsigned long *consumer; /* mapped, written by us */
    unsigned long *producer; /* mapped read-only, the data follow, mapped twice */
    size_t size;             /* bytes of data, a power of two */
};

/* Maps the ring buffer behind `map_fd`, of `size` bytes. 0 or -errno. */
int vh_ring_open(struct vh_ring *ring, int map_fd, size_t size);
void vh_ring_close(struct vh_ring *ring);

/* The next record, 8-byte aligned, or NULL when there is none that is complete. The kernel wakes a
 * waiter on the map's descriptor only for a record that is next: after a wake-up read until NULL,
 * or come back by other means.
 */
const void *vh_ring_peek(struct vh_ring *ring, uint32_t *len);
/* Passes over the record that vh_ring_peek returned. */
void vh_ring_next(struct vh_ring *ring);
