/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-ring.h"

#include <glib.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire.h"

/* The kernel's pages: the consumer's, the producer's, and the data, which are mapped twice. */
struct vh_ring fake_ring_new(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct vh_ring ring = {.size = FAKE_RING_SIZE};
    int fd = memfd_create("ring", MFD_CLOEXEC);
    uint8_t *at;

    g_assert_cmpint(ftruncate(fd, (off_t)(2 * page + FAKE_RING_SIZE)), ==, 0);
    ring.consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    at = mmap(NULL, page + 2 * FAKE_RING_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(ring.consumer != MAP_FAILED && at != MAP_FAILED);
    ring.producer = mmap(at, page + FAKE_RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                         fd, (off_t)page);
    at = mmap(at + page + FAKE_RING_SIZE, FAKE_RING_SIZE, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_FIXED, fd, (off_t)(2 * page));
    g_assert_true(ring.producer != MAP_FAILED && at != MAP_FAILED);
    close(fd);
    return ring;
}

bool fake_ring_put(struct vh_ring *ring, uint16_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct vh_hint hint = {.size = size, .kind = 1};
    size_t step = (size + BPF_RINGBUF_HDR_SZ + 7u) & ~7ul;
    uint32_t header = size;
    uint8_t *at = (uint8_t *)ring->producer + page + (*ring->producer & (FAKE_RING_SIZE - 1));

    if (*ring->producer - *ring->consumer + step > FAKE_RING_SIZE)
        return false;
    memcpy(at, &header, sizeof(header));
    memset(at + BPF_RINGBUF_HDR_SZ, 0, size);
    memcpy(at + BPF_RINGBUF_HDR_SZ, &hint, sizeof(hint));
    *ring->producer += step;
    return true;
}
