/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's side of one conversation with an injector, as a pure state machine: bytes in, calls
 * and bytes out.
 *
 * See protocol/PROTOCOL.md for the conversation. The session asks for a snapshot by itself whenever
 * facts may be missing: a program seen for the first time, `lost` grew, `seq` jumped, a frame
 * arrived broken. Control messages that are owed are remembered as flags rather than queued, so a
 * guest that talks without reading cannot make it grow.
 *
 * Invariants:
 *  1. At most one LOAD is on its way or unanswered; the others wait in order.
 *  2. At most one RESYNC per program is unanswered, and VH_PROGRAMS_MAX of them in all.
 *  3. Nothing that belongs to a session is reported before its up() or after its down().
 *  4. Every request's answer function is called exactly once: with its ANSWER, or with a NULL
 *     answer once the session is down or freed. Unless it is forgotten or withdrawn: then never.
 *  5. No function of the session that sends is called from within send(), room() or asked();
 *     vh_session_free and vh_session_restart from none of its functions.
 *  6. The guest owes VH_SESSION_OWED answers at most beside those to RESYNCs. Who would ask more
 *     looks at vh_session_may_ask first, and comes back with answered().
 *  7. No session begins unless may_begin() says so, and none outlives its guest's credit: who
 *     sends more is cut off, and may begin anew.
 *  8. A request waits until all of it is sent, and is then unanswered. Nothing that is done again
 *     and again (receive, flush) walks what is unanswered, but for an ANSWER. */
#pragma once

#include <glib.h>

#include "msg.h"

/* The programs that a guest may have, three times: their loads, what callers wait for, and the
 * unloads of what nobody wants. */
#define VH_SESSION_OWED (3 * VH_PROGRAMS_MAX)

typedef struct VhSession VhSession;

/* Room that all sessions of one thread share: a session needs room of its own only while it has
 * half a frame. */
typedef struct VhScratch VhScratch;
VhScratch *vh_scratch_new(void);
/* Once all sessions are freed. NULL is fine. */
void vh_scratch_free(VhScratch *scratch);

struct vh_session_funcs {
    size_t (*room)(gpointer data); /* bytes that send would take now */
    void (*send)(const uint8_t *bytes, size_t len, gpointer data);
    /* A session could begin. False: not yet; vh_session_hello once it may. */
    bool (*may_begin)(gpointer data);
    void (*up)(const struct vh_hello *guest, gpointer data);
    void (*down)(const char *why, gpointer data);
    void (*cpus)(const struct vh_cpu *cpus, uint32_t count, gpointer data);
    void (*programs)(const struct vh_program *programs, uint32_t count, gpointer data);
    void (*hints)(const struct vh_batch *batch, struct vh_records records, gpointer data);
    void (*snapshot)(const struct vh_batch *batch, struct vh_records records, gpointer data);
    /* What is wrong with a program that runs: after programs(), which says that nothing is. "":
     * nothing any longer. */
    void (*trouble)(uint32_t program, const char *text, gpointer data);
    /* The guest owes an answer: a request has been made. */
    void (*asked)(gpointer data);
    /* It owes one less: after the answer function of what it has answered. */
    void (*answered)(gpointer data);
    /* Something that an operator should know: a wire version, a broken frame, a gap. */
    void (*complaint)(const char *text, gpointer data);
};

/* `log` is the verifier's. NULL `answer`: the session ended first; text says why. */
typedef void (*VhAnswerFunc)(const struct vh_answer *answer, const char *text, const char *log,
                             gpointer data);

struct vh_session_counters {
    uint64_t frames;  /* good ones of this version */
    uint64_t broken;  /* undecodable or oversize */
    uint64_t refused; /* payload against the rules, or another version */
    uint64_t unknown; /* a type that this side does not take */
    uint64_t gaps;
    uint64_t overdrawn; /* sessions ended because the guest sent more than its credit */
};

/* `number` is this side's session number: random, not 0. `scratch` and `funcs` are borrowed. Sends
 * nothing before vh_session_hello. */
VhSession *vh_session_new(uint64_t number, VhScratch *scratch, const struct vh_session_funcs *funcs,
                          gpointer data);
void vh_session_free(VhSession *session);

/* Opens the conversation, or opens it again if no answer came: sends HELLO as soon as there is
 * room. */
void vh_session_hello(VhSession *session);

/* The peer is known to have gone: ends the session (down() is called if it was up) and says HELLO
 * as `number`, a new one, to whoever comes next. */
void vh_session_restart(VhSession *session, uint64_t number, const char *why);

void vh_session_receive(VhSession *session, const uint8_t *bytes, size_t len);

/* To be called when there is room again. */
void vh_session_flush(VhSession *session);

bool vh_session_is_up(const VhSession *session);
const struct vh_session_counters *vh_session_counters(const VhSession *session);

/* Requests; only while vh_session_may_ask. `object` is referenced, everything else copied. Each
 * returns a number for vh_session_forget: not 0. */
uint32_t vh_session_load(VhSession *session, const struct vh_load *load, const char *tunables,
                         GBytes *object, VhAnswerFunc func, gpointer data);
uint32_t vh_session_unload(VhSession *session, const char *name, VhAnswerFunc func, gpointer data);

/* Is the session up, and does the guest owe so few answers that it may be asked more? */
bool vh_session_may_ask(const VhSession *session);
/* How many it owes, beside those to RESYNCs. */
unsigned vh_session_owed(const VhSession *session);

/* The answer to request `id` is not waited for any longer; its function is not called. */
void vh_session_forget(VhSession *session, uint32_t id);
/* Takes request `id` back, and returns true, if nothing of it has been sent. */
bool vh_session_withdraw(VhSession *session, uint32_t id);

/* Asks the guest for a sign of life; false: not now, there is no room. */
bool vh_session_ping(VhSession *session);
/* When the guest last gave one, by a good frame; monotonic, us. */
gint64 vh_session_heard(const VhSession *session);
/* Is there a request that the guest has not answered? */
bool vh_session_waits(const VhSession *session);

/* Are the facts of this program complete, as far as is known? */
bool vh_session_is_current(const VhSession *session, uint32_t program);
