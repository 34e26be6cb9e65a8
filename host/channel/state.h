/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of a session share, lowest file first: each calls only those named before it. */
#pragma once

#include "channel/session.h"

#define VH_SESSION_SEND_MAX VH_FRAME_ENCODED(sizeof(struct vh_chunk) + VH_CHUNK_MAX)

/* What a guest may be ahead of what it was told: one that is greeted twice begins twice, each time
 * with all of its credit, and its second HELLO says nothing new. */
#define VH_SESSION_CREDIT (2 * VH_CREDIT_INITIAL)

/* A request without its answer. */
struct vh_request {
    uint32_t id;
    enum vh_type type;
    struct vh_load load;
    char name[VH_NAME_SIZE]; /* UNLOAD */
    uint32_t program;        /* RESYNC */
    char *tunables;
    GBytes *object;
    bool begun;        /* its first frame is sent: it may be answered */
    uint32_t offset;   /* object bytes sent */
    VhAnswerFunc func; /* NULL: nobody waits */
    gpointer data;
};

/* What is known of one program's stream of hints. */
struct vh_stream {
    uint32_t id;
    bool has_state;
    uint64_t next; /* seq of the next hint */
    uint64_t lost;
    bool wanted;  /* a snapshot is owed */
    bool asked;   /* a RESYNC is unanswered */
    bool started; /* its snapshot's FIRST has come */
};

struct VhSession {
    uint64_t number;
    uint64_t peer; /* the guest's number, 0: none */
    uint8_t version;
    bool up;
    bool hello_owed;
    bool opened; /* the zero byte has been sent */
    uint32_t last_id;
    uint32_t credit;      /* bytes of HINTS and SNAPSHOT that the guest may still send */
    uint32_t credit_owed; /* bytes that it has sent, and that are not granted anew yet */
    uint64_t broken_seen;
    gint64 heard;            /* monotonic, us */
    GQueue waiting;          /* struct vh_request, in order: of which there is more to send */
    GQueue sent;             /* whole, and unanswered */
    uint32_t resyncs;        /* of those sent */
    struct vh_request *load; /* the LOAD that is begun and unanswered; NULL: none */
    struct vh_stream streams[VH_PROGRAMS_MAX];
    uint32_t stream_count;
    const struct vh_session_funcs *funcs;
    gpointer data;
    struct vh_session_counters counters;
    struct vh_decoder decoder;
    VhScratch *scratch;
    bool sending;     /* room() or send() runs */
    unsigned busy;    /* functions that must not see the session freed run */
    uint8_t *partial; /* the decoder's, while a frame has begun and not ended; else NULL */
};

/* What all sessions of a thread share. */
struct VhScratch {
    uint8_t *input;        /* VH_DECODER_BUFFER; NULL: a session has taken it */
    const VhSession *user; /* has `input` lent while it receives; NULL: nobody */
    uint8_t output[VH_SESSION_SEND_MAX];
};

/* room.c */
/* Gives the decoder room, in which half a frame may be. */
void vh_session_take_room(VhSession *session);
/* Keeps the room only if there is half a frame in it. */
void vh_session_leave_room(VhSession *session);

/* send.c */
/* Bytes that can be sent now. */
size_t vh_session_room(VhSession *session);
/* Sends bytes for which there is room. */
void vh_session_put(VhSession *session, const uint8_t *bytes, size_t len);
/* Sends one frame; false: no room for it now. */
bool vh_session_send(VhSession *session, enum vh_type type, uint32_t id, const struct iovec *parts,
                     int count);

/* requests.c */
/* A RESYNC counts as sent: its frame follows at once. */
struct vh_request *vh_request_new(VhSession *session, enum vh_type type, VhAnswerFunc func,
                                  gpointer data);
void vh_request_free(struct vh_request *request);
/* The request with this id; NULL: there is none. */
struct vh_request *vh_requests_find(VhSession *session, uint32_t id);
/* Is a RESYNC of this program unanswered? */
bool vh_requests_resync(const VhSession *session, uint32_t program);
/* Takes a request out of its queue: it is the caller's. */
void vh_requests_remove(VhSession *session, struct vh_request *request);
/* Ends all requests (invariant 4). An answer function may not make new ones: the session is not up.
 */
void vh_requests_fail(VhSession *session, const char *why);
/* Unloads go out at once, loads one after the other (invariant 1). Walks what waits, not what was
 * sent. */
void vh_requests_flush(VhSession *session);
/* Asserts invariants 1, 2, 4, 6 and 8. */
void vh_requests_check(const VhSession *session);

/* take.c */
/* Ends the conversation, if there is one. */
void vh_session_end(VhSession *session, const char *why);
/* NULL: no such program runs. */
struct vh_stream *vh_session_find_stream(VhSession *session, uint32_t program);
/* Facts of this program may be missing: a snapshot is owed. What happens between RESYNC and its
 * FIRST is in it. */
void vh_session_note_gap(VhSession *session, struct vh_stream *stream);
/* Does what a good frame says. What it makes owed goes out with the next flush. */
void vh_session_take_frame(VhSession *session, const struct vh_frame *frame);
