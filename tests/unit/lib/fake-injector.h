/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An injector's session whose programs are a table, and a host of a few lines that talks to it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "session.h"

/* Sessions. */
#define GUEST 77u
#define HOST 42u

struct fake_asked {
    struct vh_ticket ticket;
    uint32_t program;
};

/* What stands behind the session: programs by name, and what was called. */
struct fake {
    struct vh_session session;
    struct vh_program programs[VH_PROGRAMS_MAX];
    uint32_t count;
    uint32_t last_id;
    uint32_t opened;
    uint32_t loads;
    uint32_t loaded; /* the program that was walked last */
    int load_error;
    GByteArray *object; /* as it arrived */
    char *tunables;
    uint32_t facts; /* records in every program's state */
    int facts_error;
    const char *trouble; /* of the program `troubled` */
    uint32_t troubled;
    bool slow; /* loads and facts are ended by fake_finish_*, not at once */
    struct vh_ticket load_ticket;
    struct vh_load load;
    struct fake_asked asked[VH_DUE_MAX];
    uint32_t asked_count;
};

struct got {
    struct vh_frame frame;
    _Alignas(8) uint8_t payload[VH_PAYLOAD_MAX];
};

#define FAKE_BYTES 24u
extern const uint8_t fake_bytes[FAKE_BYTES]; /* an object */

struct fake *fake_new(void);
void fake_free(struct fake *fake);
/* Gives the session bytes in pieces of `piece`, reading nothing back. */
void fake_feed(struct fake *fake, const uint8_t *bytes, size_t len, size_t piece);
void fake_send(struct fake *fake, enum vh_type type, uint8_t version, uint32_t id,
               const void *payload, size_t len, size_t piece);
void fake_request(struct fake *fake, enum vh_type type, uint32_t id, const void *payload,
                  size_t len);
/* Gives each program one turn to send a part of its snapshot; true when any did. */
bool fake_turn(struct fake *fake);
/* Takes the next frame of what the session wants written, after as many turns as there is room for;
 * false when there is none. The payload is copied. */
bool fake_next(struct fake *fake, struct got *got);
/* The next frame, of this type and id; valid until the next expectation. */
struct got *fake_expect(struct fake *fake, enum vh_type type, uint32_t id);
void fake_expect_nothing(struct fake *fake);
/* Expects an ANSWER with this error; returns the text, valid until the next expectation. */
const char *fake_expect_answer(struct fake *fake, uint32_t id, int error);
void fake_hello(struct fake *fake, uint64_t session, uint64_t peer, uint16_t version,
                uint32_t credit);
void fake_expect_hello(struct fake *fake, uint64_t peer);
/* The answer to a host's first HELLO: the injector's own, and what it has. */
void fake_expect_greeting(struct fake *fake, uint64_t host);
/* One that has greeted, and been greeted by, a host which gives this credit; nothing is left to
 * read. */
struct fake *fake_up(uint32_t credit);
struct vh_load fake_load_of(const char *name, const uint8_t *object, uint32_t size, uint16_t flags);
void fake_chunk(struct fake *fake, uint32_t id, uint32_t offset, const uint8_t *bytes,
                uint32_t len);
/* Loads fake_bytes under this name in two chunks, the first with the LOAD; consumes nothing of what
 * comes back. */
void fake_load_first(struct fake *fake, uint32_t id, const char *name, uint16_t flags);
void fake_load_rest(struct fake *fake, uint32_t id);
/* Both. */
void fake_load(struct fake *fake, uint32_t id, const char *name, uint16_t flags);
/* What was begun while `slow`. */
void fake_finish_load(struct fake *fake);
void fake_finish_facts(struct fake *fake, struct vh_ticket ticket, uint32_t program);
/* As fake_load, and it runs: nothing is left to read. */
void fake_load_good(struct fake *fake, uint32_t id, const char *name, uint16_t flags);
