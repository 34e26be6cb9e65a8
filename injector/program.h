/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One running program: what the contract of guest-bpf/vhint.bpf.h gives the injector to work with.
 */
#pragma once

#include "jobs.h"
#include "load.h"
#include "ring.h"
#include "rules.h"

struct vh_agent;

/* A walk through a program's iterators, and the reading of its facts that may follow (walks.c). */
struct vh_walk {
    struct vh_job job;
    struct vh_agent *in;
    bool under_way;
    bool late;               /* for so long that nobody waits for it any longer */
    uint64_t deadline;       /* ns of CLOCK_MONOTONIC, while it walks; 0: it reads */
    bool snapshot;           /* facts are to be read after it */
    struct vh_ticket ticket; /* for whom */
    bool asked;              /* facts are, of the next walk */
    struct vh_ticket next;   /* for whom */
    int error;
    char text[VH_TROUBLE_SIZE];
    long taken;       /* facts out of `state` */
    uint64_t refused; /* values in `state` that are no hints */
    struct vh_facts facts;
};

/* A program's way out (changes.c). */
struct vh_leave {
    struct vh_job job;
    struct vh_agent *in;
    bool due;    /* it leaves, once its walk has ended */
    bool waited; /* for, by an UNLOAD */
    struct vh_ticket ticket;
};

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
    bool collects; /* the walk puts the guest's rules into `state` first */
    struct vh_rules rules;
    void *bss; /* the program's variables, mapped; NULL: none of interest */
    size_t bss_size;
    const volatile uint64_t *lost; /* vh_lost; NULL: none */
    uint64_t seq;                  /* hints relayed */
    uint64_t dropped;              /* records that were no hints, or that nobody was there for */
    uint64_t misses;               /* as last asked of the kernel */
    uint64_t lost_told;            /* the sum that the host knows */
    char trouble[VH_TROUBLE_SIZE]; /* what is wrong with it; "": nothing */
    bool held;                     /* its facts are being read: its ring is left alone */
    struct vh_walk walk;
    struct vh_leave leave;
};

/* Fills what depends on the loaded object's maps and variables. 0 or -errno with `text`. */
int vh_running_init(struct vh_running *running, char *text);
/* Detaches and frees all but the struct itself. Slow: a job's. */
void vh_running_end(struct vh_running *running);

/* All that is lost so far. */
uint64_t vh_running_lost(const struct vh_running *running);

/* Asks the kernel for events that the program's parts were not shown. */
void vh_running_account(struct vh_running *running);

/* relay.c: sends what the ring holds, one VH_SLICE at most and as far as the session has room, and
 * the count of losses when it has grown. True when it sent anything. */
bool vh_relay(struct vh_running *running, struct vh_session *session);
/* relay.c: drops what the ring holds, counting it as lost. */
void vh_relay_discard(struct vh_running *running);

/* snapshot.c: a snapshot's three steps. */
/* Runs the iterators, and sweeps when they confirm, until `deadline` (ns of CLOCK_MONOTONIC). The
 * number of facts taken out, or -errno with `text` (VH_TROUBLE_SIZE bytes). Slow: a job's; needs
 * nothing of `running` that the loop changes. */
long vh_snapshot_walk(const struct vh_running *running, uint64_t deadline, char *text);
/* Empties the ring, and sets `facts`' seq and lost. From here on until the facts are read no hints
 * of the program may be relayed. */
void vh_snapshot_begin(struct vh_running *running, struct vh_session *session,
                       struct vh_facts *facts);
/* Reads `state` into facts' records. `*refused`: entries that were no hints. 0 or -errno. Slow: a
 * job's, as vh_snapshot_walk. */
int vh_snapshot_read(const struct vh_running *running, struct vh_facts *facts, uint64_t *refused);
