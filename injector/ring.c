// SPDX-License-Identifier: GPL-2.0-or-later
// Reads BPF ring buffers: see ring.h.
#include "ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int vh_ring_open(struct vh_ring *ring, int map_fd, size_t size)
{
    void *consumer = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    void *producer;
    int error;

    if (consumer == MAP_FAILED)
        return -errno;
    producer =
        mmap(NULL, page_size() + 2 * size, PROT_READ, MAP_SHARED, map_fd, (off_t)page_size());
    if (producer == MAP_FAILED) {
        error = -errno;
        munmap(consumer, page_size());
        return error;
    }
    *ring = (struct vh_ring){.consumer = consumer, .producer = producer, .size = size};
    return 0;
}

void vh_ring_close(struct vh_ring *ring)
{
    if (!ring->consumer)
        return;
    munmap(ring->consumer, page_size());
    munmap(ring->producer, page_size() + 2 * ring->size);
    *ring = (struct vh_ring){0};
}

/* The record's header: its length with the kernel's two flags; the page offset follows. */
static const uint32_t *header_at(const struct vh_ring *ring, unsigned long position)
{
    const uint8_t *data = (const uint8_t *)ring->producer + page_size();

    return (const uint32_t *)(const void *)(data + (position & (ring->size - 1)));
}

/* Whole orders: the kernel wakes us only if it sees our position at its record, so our position
 * must be written before we look for that record for the last time. */
static void advance(struct vh_ring *ring, uint32_t header)
{
    unsigned long len = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    unsigned long step = (len + BPF_RINGBUF_HDR_SZ + 7u) & ~7ul;

    __atomic_store_n(ring->consumer, *ring->consumer + step, __ATOMIC_SEQ_CST);
}

const void *vh_ring_peek(struct vh_ring *ring, uint32_t *len)
{
    while (*ring->consumer != __atomic_load_n(ring->producer, __ATOMIC_SEQ_CST)) {
        const uint32_t *at = header_at(ring, *ring->consumer);
        uint32_t header = __atomic_load_n(at, __ATOMIC_SEQ_CST);

        if (header & BPF_RINGBUF_BUSY_BIT)
            return NULL;
        if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
            *len = header;
            return (const uint8_t *)at + BPF_RINGBUF_HDR_SZ;
        }
        advance(ring, header);
    }
    return NULL;
}

void vh_ring_next(struct vh_ring *ring)
{
    advance(ring, *header_at(ring, *ring->consumer));
}
