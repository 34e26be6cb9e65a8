/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A ring buffer as the kernel's, in memory of this process, that a test puts hints into. */
#pragma once

#include <stdbool.h>

#include "ring.h"

#define FAKE_RING_SIZE 65536u

/* Empty; vh_ring_close frees it. */
struct vh_ring fake_ring_new(void);
/* Puts a record in, which is a hint of `size` bytes; false when there is no room for it. */
bool fake_ring_put(struct vh_ring *ring, uint16_t size);
