/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's side of the channel as a state machine: bytes in, calls to `ops`, bytes out. No I/O.
 *
 * What takes long is begun by one call and ended by another: `load`, `unload` and `facts` may be
 * answered at once, or much later by vh_session_done and vh_session_facts. A ticket says to which
 * request an answer belongs.
 *
 * Invariants
 *  1. Every request of a live session gets one ANSWER; a new session forgets the requests of the
 * old one, and their tickets are void.
 *  2. HINTS and SNAPSHOT are sent only within the host's credit, and of that within their program's
 * share (credit.h).
 *  3. From the moment that a program's facts were taken until they are sent, no hints of it are:
 * nothing in a snapshot is newer than what follows it. Other programs' hints go on.
 *  4. `out` never grows beyond VH_OUT_SIZE; above VH_OUT_FULL no input is taken.
 *  5. A program's facts are asked for once at a time.
 *  6. What is sent of a program at once, hints or a part of its snapshot, is at most VH_SLICE
 * bytes: who gives programs turns (programs.c) keeps none waiting for another's flood or snapshot.
 */
#pragma once

#include "credit.h"
#include "msg.h"
#include "out.h"
#include "transfer.h"

#define VH_SLICE 16384u

#define VH_TROUBLE_SIZE \
    512u /* bytes of what is said of a program's trouble, with the final NUL \
          */

/* What a request's handling says back beside its errno. */
struct vh_reply {
    uint32_t program; /* LOAD: the new program's id */
    char text[VH_TEXT_MAX + 1];
    char *log; /* malloc'ed by the handler, freed by the session; NULL for none */
    size_t log_len;
    bool log_cut;
};

/* A request of one session. */
struct vh_ticket {
    uint64_t epoch; /* of the session, see struct vh_session */
    uint32_t request;
};

/* One program's facts at one moment. */
struct vh_facts {
    uint8_t *records; /* each padded to 8 bytes; malloc'ed; NULL: there are none to be had */
    size_t len;
    uint64_t seq;
    uint64_t lost;
    int error;                  /* -errno: some may be missing, or all; 0: they are whole */
    char text[VH_TROUBLE_SIZE]; /* of the error */
};

/* What the session asks of the rest of the injector; `context` is the first argument of each.
 * Errors are -errno. */
struct vh_session_ops {
    /* A session has begun: what the rings hold was meant for the one before. */
    void (*opened)(void *context);
    /* Loads and attaches a complete object of the right digest, which it takes over; with
     * VH_LOAD_REPLACE the old one leaves. vh_session_done follows. */
    void (*load)(void *context, struct vh_ticket ticket, struct vh_transfer *transfer);
    /* vh_session_done follows. */
    void (*unload)(void *context, struct vh_ticket ticket, const char *name);
    uint32_t (*programs)(void *context, struct vh_program programs[VH_PROGRAMS_MAX]);
    /* What is wrong with a program that runs; "": nothing. */
    const char *(*trouble)(void *context, uint32_t program);
    uint32_t (*cpus)(void *context, struct vh_cpu cpus[VH_CPUS_MAX]);
    /* Walks, relays the ring's hints, then takes the facts. vh_session_facts follows. */
    void (*facts)(void *context, struct vh_ticket ticket, uint32_t program);
    uint64_t (*now)(void *context); /* CLOCK_MONOTONIC, ns */
};

/* A program whose snapshot is due. */
struct vh_due {
    uint32_t request;
    uint32_t program;
    bool any;              /* asked for with all others, not by its number */
    bool asked;            /* `facts` was called */
    bool ready;            /* and has answered */
    size_t sent;           /* bytes of the facts */
    struct vh_facts facts; /* once ready */
    int error;             /* of the request so far */
    char text[VH_TROUBLE_SIZE];
};
#define VH_DUE_MAX (2 * VH_PROGRAMS_MAX)

struct vh_session {
    const struct vh_session_ops *ops;
    void *context;
    struct vh_hello self; /* template of our HELLO */
    uint64_t host;        /* the host's session; 0: none is up */
    uint64_t epoch;       /* counts sessions, also those that never came up */
    uint8_t version;
    struct vh_purse purse;
    struct vh_transfer transfer;
    struct vh_due due[VH_DUE_MAX]; /* in the order in which they were asked for */
    uint32_t due_count;
    uint64_t dropped; /* frames that meant nothing: unknown type, wrong version, no session */
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
/* Asks for the facts that are due, and ends the snapshots that there are none for. */
void vh_session_pump(struct vh_session *session);
/* Sends the next part of a program's snapshot, if one waits to be sent and there is room and credit
 * for it. True when it did. */
bool vh_session_part(struct vh_session *session, uint32_t program);

/* Is the session that the request belongs to still there? */
bool vh_session_waits(const struct vh_session *session, struct vh_ticket ticket);
/* Ends a LOAD or UNLOAD, if it is still waited for; frees the reply's log. `error`: 0 or -errno. */
void vh_session_done(struct vh_session *session, struct vh_ticket ticket, int error,
                     struct vh_reply *reply);
/* Hands over the facts that `facts` was asked for, or why there are none; takes the records. What
 * is not waited for any longer is freed. */
void vh_session_facts(struct vh_session *session, struct vh_ticket ticket, uint32_t program,
                      struct vh_facts *facts);

/* The host is to hear of a change; nothing happens without a session. */
void vh_session_send_cpus(struct vh_session *session);
/* With what is wrong with them. */
void vh_session_send_programs(struct vh_session *session);
void vh_session_send_trouble(struct vh_session *session, uint32_t program);

/* Bytes of records that HINTS of this program may carry now; 0: leave its ring alone. */
size_t vh_session_room(const struct vh_session *session, uint32_t program);
/* Sends hints, `len` bytes of records, at most what vh_session_room said. `count` 0 tells `lost`
 * alone. */
void vh_session_hints(struct vh_session *session, const struct vh_batch *batch,
                      const uint8_t *records, size_t len);
