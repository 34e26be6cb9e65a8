/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memcached in a guest that is none, with the cache before it:
 *
 *     clients == wire == uplink0 == bridge == tap0 == wire == memcached
 *
 * Each side of it is a network namespace of its own. The dispatcher is where it is with a guest:
 * XDP on the uplink, tc on the tap. Behind the tap the second wire is the guest's inside: there
 * requests overtake one another after the cache has seen them, and answers before it does. */
#pragma once

#include <stdbool.h>

#include "lib/bad-wire.h"
#include "net/cache.h"

#define CACHE_STAGE_ADDRESS "10.0.0.1" /* memcached's; clients have .2, the host .3 */
#define CACHE_STAGE_PORT 11211

struct cache_stage {
    VhSlot *slot;
    int clients, host, guest; /* network namespaces */
    struct cache_stage_own *own;
};

/* NULL: there can be none, and the test has been told to skip. Once a process. */
struct cache_stage *cache_stage_new(const struct wire_faults *outside,
                                    const struct wire_faults *inside);
void cache_stage_free(struct cache_stage *stage);

/* Kills memcached, and starts it again. */
void cache_stage_kill(struct cache_stage *stage);
/* Sockets of the calling thread are in this namespace from now on. */
void cache_stage_enter(int namespace);
