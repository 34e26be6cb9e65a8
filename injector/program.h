/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One running program: what the contract of guest-bpf/vhint.bpf.h gives the injector to work with.
 */
#pragma once

#include "load.h"
#include "ring.h"

struct vh_running {
    uint32_t id;
    char name[VH_NAME_SIZE];
    uint8_t digest[VH_DIGEST_SIZE];
    struct vh_loaded loaded;
    struct vh_ring ring; /* `hints`; size 0: none */
    int ring_fd;         /* borrowed; -1: none */
    int state_fd;        /* `state`, borrowed; -1: none */
    uint32_t key_size;   /* of `state`, bytes */
    uint32_t value_size;
    uint32_t state_entries;
    bool confirms; /* the walk writes the keys of all facts that hold */
    void *bss;     /* the program's variables, mapped; NULL: none of interest */
    size_t bss_size;
    const volatile uint64_t *lost; /* vh_lost; NULL: none */
    uint64_t seq;                  /* hints relayed */
    uint64_t dropped;              /* records that were no hints, or that nobody was there for */
    uint64_t misses;               /* as last asked of the kernel */
    uint64_t lost_told;            /* the sum that the host knows */
};

/* Fills what depends on the loaded object's maps and variables. 0 or -errno with `text`. */
int vh_running_init(struct vh_running *running, char *text);
void vh_running_free(struct vh_running *running);

/* All that is lost so far. */
uint64_t vh_running_lost(const struct vh_running *running);

/* Asks the kernel for events that the program's parts were not shown. */
void vh_running_account(struct vh_running *running);

/* relay.c: sends what the ring holds as far as the session has room, and the count of losses when
 * it has grown. True when it sent anything. */
bool vh_relay(struct vh_running *running, struct vh_session *session);
/* relay.c: drops what the ring holds, counting it as lost. */
void vh_relay_discard(struct vh_running *running);

/* snapshot.c: runs the iterators (and sweeps, when they confirm), empties the ring, reads `state`.
 */
int vh_snapshot(struct vh_running *running, struct vh_session *session, struct vh_facts *facts);
