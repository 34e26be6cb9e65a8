/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's side of the channel as a state machine: bytes in, calls to `ops`, bytes out. No I/O.
 *
 * Invariants
 *  1. Every request of a live session gets one ANSWER; a new session forgets the requests of the
 * old one.
 *  2. HINTS and SNAPSHOT are sent only within the host's credit.
 *  3. While a snapshot is on its way no hints are: nothing in it is newer than what follows it.
 *  4. `out` never grows beyond VH_OUT_SIZE; above VH_OUT_FULL no input is taken. */
#pragma once

#include "msg.h"
#include "out.h"
#include "transfer.h"

/* What a request's handling says back beside its errno. */
struct vh_reply {
    uint32_t program; /* LOAD: the new program's id */
    char text[VH_TEXT_MAX + 1];
    char *log; /* malloc'ed by the handler, freed by the session; NULL for none */
    size_t log_len;
    bool log_cut;
};

/* One program's facts at one moment. */
struct vh_facts {
    uint8_t *records; /* each padded to 8 bytes; malloc'ed by the handler, freed by the session */
    size_t len;
    uint64_t seq;
    uint64_t lost;
};

/* What the session asks of the rest of the injector; `context` is the first argument of each.
 * Errors are -errno. */
struct vh_session_ops {
    /* A session has begun: what the rings hold was meant for the one before. */
    void (*opened)(void *context);
    /* Loads and attaches a complete object of the right digest; with VH_LOAD_REPLACE the old one
     * leaves. */
    int (*load)(void *context, const struct vh_transfer *transfer, struct vh_reply *reply);
    /* Called after the LOAD's ANSWER is queued: finds the facts that are older than the program. */
    void (*loaded)(void *context, uint32_t program);
    int (*unload)(void *context, const char *name, struct vh_reply *reply);
    uint32_t (*programs)(void *context, struct vh_program programs[VH_PROGRAMS_MAX]);
    uint32_t (*cpus)(void *context, struct vh_cpu cpus[VH_CPUS_MAX]);
    /* Relays the ring's hints, then takes the facts. -ENOENT: the program has gone. */
    int (*facts)(void *context, uint32_t program, struct vh_facts *facts);
    uint64_t (*now)(void *context); /* CLOCK_MONOTONIC, ns */
};

/* A program whose snapshot is due. */
struct vh_due {
    uint32_t request;
    uint32_t program;
    bool any;          /* asked for with all others, not by its number */
    bool ends_request; /* the ANSWER follows it */
};
#define VH_DUE_MAX (2 * VH_PROGRAMS_MAX)

struct vh_session {
    const struct vh_session_ops *ops;
    void *context;
    struct vh_hello self; /* template of our HELLO */
    uint64_t host;        /* the host's session; 0: none is up */
    uint8_t version;
    uint64_t credit; /* bytes of HINTS and SNAPSHOT payload that may still be sent */
    struct vh_transfer transfer;
    struct vh_due due[VH_DUE_MAX]; /* the first one is under way when `sending` */
    uint32_t due_count;
    bool sending;
    struct vh_facts facts;
    size_t facts_sent; /* bytes */
    uint64_t dropped;  /* frames that meant nothing: unknown type, wrong version, no session */
    struct vh_out out;
    struct vh_decoder decoder;
    _Alignas(8) uint8_t buffer[VH_DECODER_BUFFER];
};

/* `self` gives boot_id, release and agent of the HELLO; the rest is filled in. 0 or -ENOMEM. */
int vh_session_init(struct vh_session *session, const struct vh_hello *self,
                    const struct vh_session_ops *ops, void *context);
void vh_session_free(struct vh_session *session);

/* The host's end is open: greets it. `number`: random, not 0. */
void vh_session_open(struct vh_session *session, uint64_t number);
/* The host's end is closed: forgets the session and everything half-done. */
void vh_session_close(struct vh_session *session);

/* Handles bytes; returns how many were taken, fewer than `len` only when `out` is full: offer the
 * rest later. */
size_t vh_session_input(struct vh_session *session, const uint8_t *bytes, size_t len);
/* Goes on with a snapshot, if one waited for credit or room. */
void vh_session_pump(struct vh_session *session);

/* The host is to hear of a change; nothing happens without a session. */
void vh_session_send_cpus(struct vh_session *session);
void vh_session_send_programs(struct vh_session *session);

/* Bytes of records that HINTS may carry now; 0: leave the rings alone. */
size_t vh_session_room(const struct vh_session *session);
/* Sends hints, `len` bytes of records, at most what vh_session_room said. `count` 0 tells `lost`
 * alone. */
void vh_session_hints(struct vh_session *session, const struct vh_batch *batch,
                      const uint8_t *records, size_t len);
