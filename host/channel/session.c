// SPDX-License-Identifier: GPL-2.0-or-later
// The conversation with one injector: its bytes, its requests, and what is owed to it. See
// session.h for its invariants.
#include "channel/session.h"

#include <string.h>

#include "channel/state.h"

#define CREDIT_STEP (VH_CREDIT_INITIAL / 4)

VhSession *vh_session_new(uint64_t number, VhScratch *scratch, const struct vh_session_funcs *funcs,
                          gpointer data)
{
    VhSession *session = g_new0(VhSession, 1);

    session->number = number;
    session->funcs = funcs;
    session->data = data;
    session->scratch = scratch;
    g_queue_init(&session->waiting);
    g_queue_init(&session->sent);
    vh_decoder_init(&session->decoder, NULL);
    return session;
}

void vh_session_free(VhSession *session)
{
    if (!session)
        return;
    g_assert(!session->busy && !session->sending); /* invariant 5 */
    vh_session_end(session, "the channel was closed");
    vh_requests_check(session); /* invariant 4: there are none */
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

    if (!session->opened && vh_session_room(session) >= 1) {
        vh_session_put(session, (const uint8_t[]){0}, 1);
        session->opened = true;
    }
    return session->opened && send_struct(session, VH_HELLO, 0, &hello, sizeof(hello));
}

static bool send_resync(VhSession *session, struct vh_stream *stream)
{
    struct vh_resync resync = {.program = stream->id};
    struct vh_request *request = NULL;

    g_assert(!stream->asked); /* invariant 2 */
    if (vh_session_room(session) < VH_FRAME_ENCODED(sizeof(resync)))
        return false;
    request = vh_request_new(session, VH_RESYNC, NULL, NULL);
    request->program = stream->id;
    stream->wanted = false;
    stream->asked = true;
    stream->started = false;
    return send_struct(session, VH_RESYNC, request->id, &resync, sizeof(resync));
}

void vh_session_flush(VhSession *session)
{
    g_assert(!session->sending);
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
        session->credit += session->credit_owed;
        session->credit_owed = 0;
    }
    g_assert(session->credit + session->credit_owed <= VH_SESSION_CREDIT); /* invariant 7 */
    for (uint32_t i = 0; i < session->stream_count; i++) {
        struct vh_stream *stream = &session->streams[i];

        /* A guest that names ever new programs and answers nothing is not asked any more. */
        if (stream->wanted && !stream->asked && session->resyncs < VH_PROGRAMS_MAX &&
            !send_resync(session, stream))
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
    g_assert(!session->busy && !session->sending && number);
    vh_session_end(session, why);
    session->number = number;
    session->opened = false;
    vh_decoder_reset(&session->decoder);
    vh_session_leave_room(session);
    vh_session_hello(session);
}

bool vh_session_is_current(const VhSession *session, uint32_t program)
{
    const struct vh_stream *stream =
        session->up ? vh_session_find_stream((VhSession *)session, program) : NULL;

    return stream && !stream->wanted && !stream->asked;
}

bool vh_session_ping(VhSession *session)
{
    struct vh_ping ping = {.host_ns = (uint64_t)g_get_monotonic_time() * 1000};

    return session->up && send_struct(session, VH_PING, 0, &ping, sizeof(ping));
}

gint64 vh_session_heard(const VhSession *session)
{
    return session->heard;
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

    g_assert(!session->sending);
    session->busy++;
    vh_session_take_room(session);
    while (vh_decoder_feed(&session->decoder, &bytes, &len, &frame) == 1) {
        note_broken(session);
        vh_session_take_frame(session, &frame);
    }
    note_broken(session);
    vh_session_leave_room(session);
    session->busy--;
    vh_session_flush(session);
}

uint32_t vh_session_load(VhSession *session, const struct vh_load *load, const char *tunables,
                         GBytes *object, VhAnswerFunc func, gpointer data)
{
    struct vh_request *request = vh_request_new(session, VH_LOAD, func, data);

    request->load = *load;
    request->tunables = g_memdup2(tunables, load->tunables_len);
    request->object = g_bytes_ref(object);
    vh_session_flush(session);
    return request->id;
}

uint32_t vh_session_unload(VhSession *session, const char *name, VhAnswerFunc func, gpointer data)
{
    struct vh_request *request = vh_request_new(session, VH_UNLOAD, func, data);

    g_strlcpy(request->name, name, sizeof(request->name));
    vh_session_flush(session);
    return request->id;
}

bool vh_session_withdraw(VhSession *session, uint32_t id)
{
    struct vh_request *request = vh_requests_find(session, id);

    if (!request || request->begun)
        return false;
    vh_requests_remove(session, request);
    vh_request_free(request);
    return true;
}

void vh_session_forget(VhSession *session, uint32_t id)
{
    struct vh_request *request =
        vh_session_withdraw(session, id) ? NULL : vh_requests_find(session, id);

    if (request)
        request->func = NULL;
}
