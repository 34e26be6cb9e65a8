// SPDX-License-Identifier: GPL-2.0-or-later
// The conversation with one injector: handshake, requests, credit, gaps. See session.h for its
// invariants.
#include "channel/session.h"

#include <string.h>

#include "channel/private.h"

#define CREDIT_STEP (VH_CREDIT_INITIAL / 4)

VhSession *vh_session_new(uint64_t number, VhScratch *scratch, const struct vh_session_funcs *funcs,
                          gpointer data)
{
    VhSession *session = g_new0(VhSession, 1);

    session->number = number;
    session->funcs = funcs;
    session->data = data;
    session->scratch = scratch;
    g_queue_init(&session->requests);
    vh_decoder_init(&session->decoder, NULL);
    return session;
}

void vh_session_end(VhSession *session, const char *why)
{
    bool was_up = session->up;

    session->up = false;
    session->peer = 0;
    session->stream_count = 0;
    session->credit_owed = 0;
    vh_requests_fail(session, why);
    if (was_up)
        session->funcs->down(why, session->data);
}

void vh_session_free(VhSession *session)
{
    if (!session)
        return;
    vh_session_end(session, "the channel was closed");
    g_free(session->partial);
    g_free(session);
}

bool vh_session_is_up(const VhSession *session)
{
    return session->up;
}

const struct vh_session_counters *vh_session_counters(const VhSession *session)
{
    return &session->counters;
}

bool vh_session_send(VhSession *session, enum vh_type type, uint32_t id, const struct iovec *parts,
                     int count)
{
    size_t payload = 0;
    long len = 0;

    for (int i = 0; i < count; i++)
        payload += parts[i].iov_len;
    if (session->funcs->room(session->data) < VH_FRAME_ENCODED(payload))
        return false;
    len = vh_frame_encode(session->scratch->output, VH_SESSION_SEND_MAX, type,
                          type == VH_HELLO ? 0 : session->version, id, parts, count);
    g_return_val_if_fail(len > 0, true);
    session->funcs->send(session->scratch->output, (size_t)len, session->data);
    return true;
}

static bool send_struct(VhSession *session, enum vh_type type, uint32_t id, const void *payload,
                        size_t len)
{
    struct iovec part = {.iov_base = (void *)payload, .iov_len = len};

    return vh_session_send(session, type, id, &part, 1);
}

static bool send_hello(VhSession *session)
{
    struct vh_hello hello = {
        .magic = VH_HELLO_MAGIC,
        .version_min = VH_WIRE_MIN,
        .version_max = VH_WIRE_MAX,
        .session = session->number,
        .peer = session->peer,
        .role = VH_ROLE_HOST,
        .credit = VH_CREDIT_INITIAL,
        .agent = "vhintd " VH_VERSION,
    };

    if (!session->opened && session->funcs->room(session->data) >= 1) {
        session->funcs->send((const uint8_t[]){0}, 1, session->data);
        session->opened = true;
    }
    return session->opened && send_struct(session, VH_HELLO, 0, &hello, sizeof(hello));
}

static bool send_resync(VhSession *session, struct vh_stream *stream)
{
    struct vh_resync resync = {.program = stream->id};
    struct vh_request *request = NULL;

    if (session->funcs->room(session->data) < VH_FRAME_ENCODED(sizeof(resync)))
        return false;
    request = vh_request_new(session, VH_RESYNC, NULL, NULL);
    request->program = stream->id;
    request->sent = true;
    stream->wanted = false;
    stream->asked = true;
    stream->started = false;
    return send_struct(session, VH_RESYNC, request->id, &resync, sizeof(resync));
}

void vh_session_flush(VhSession *session)
{
    if (session->hello_owed) {
        if (!send_hello(session))
            return;
        session->hello_owed = false;
    }
    if (!session->up)
        return;
    if (session->credit_owed >= CREDIT_STEP) {
        struct vh_credit credit = {.bytes = session->credit_owed};

        if (!send_struct(session, VH_CREDIT, 0, &credit, sizeof(credit)))
            return;
        session->credit_owed = 0;
    }
    for (uint32_t i = 0; i < session->stream_count; i++) {
        struct vh_stream *stream = &session->streams[i];

        if (stream->wanted && !stream->asked && !send_resync(session, stream))
            return;
    }
    vh_requests_flush(session);
}

void vh_session_hello(VhSession *session)
{
    session->hello_owed = true;
    vh_session_flush(session);
}

void vh_session_restart(VhSession *session, uint64_t number, const char *why)
{
    vh_session_end(session, why);
    session->number = number;
    session->opened = false;
    vh_decoder_reset(&session->decoder);
    vh_session_leave_room(session);
    vh_session_hello(session);
}

struct vh_stream *vh_session_find_stream(VhSession *session, uint32_t program)
{
    for (uint32_t i = 0; i < session->stream_count; i++)
        if (session->streams[i].id == program)
            return &session->streams[i];
    return NULL;
}

bool vh_session_is_current(const VhSession *session, uint32_t program)
{
    const struct vh_stream *stream =
        session->up ? vh_session_find_stream((VhSession *)session, program) : NULL;

    return stream && !stream->wanted && !stream->asked;
}

void vh_session_note_gap(VhSession *session, struct vh_stream *stream)
{
    session->counters.gaps++;
    if (stream->has_state && !(stream->asked && !stream->started))
        stream->wanted = true;
}

void vh_session_resync(VhSession *session, uint32_t program)
{
    struct vh_stream *stream = session->up ? vh_session_find_stream(session, program) : NULL;

    if (stream && stream->has_state && !(stream->asked && !stream->started))
        stream->wanted = true;
    vh_session_flush(session);
}

/* A frame that arrived broken may have held anything. */
static void note_broken(VhSession *session)
{
    uint64_t broken = session->decoder.counters.bad + session->decoder.counters.oversize;

    if (broken == session->broken_seen)
        return;
    session->counters.broken += broken - session->broken_seen;
    session->broken_seen = broken;
    if (!session->up)
        return;
    session->funcs->complaint("a frame arrived broken and was dropped", session->data);
    for (uint32_t i = 0; i < session->stream_count; i++)
        vh_session_note_gap(session, &session->streams[i]);
}

void vh_session_receive(VhSession *session, const uint8_t *bytes, size_t len)
{
    struct vh_frame frame;

    vh_session_take_room(session);
    while (vh_decoder_feed(&session->decoder, &bytes, &len, &frame) == 1) {
        note_broken(session);
        vh_session_take_frame(session, &frame);
    }
    note_broken(session);
    vh_session_leave_room(session);
    vh_session_flush(session);
}
