// SPDX-License-Identifier: GPL-2.0-or-later
// The conversation with one injector: handshake, requests, credit, gaps. See session.h for its invariants.
#include "session.h"

#include <errno.h>
#include <string.h>

#include "session-private.h"

#define CREDIT_STEP (VH_CREDIT_INITIAL / 4)

VhSession *vh_session_new(uint64_t number, VhScratch *scratch, const struct vh_session_funcs *funcs, gpointer data)
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

static void end(VhSession *session, const char *why)
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
    end(session, "the channel was closed");
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

bool vh_session_send(VhSession *session, enum vh_type type, uint32_t id, const struct iovec *parts, int count)
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

static bool send_struct(VhSession *session, enum vh_type type, uint32_t id, const void *payload, size_t len)
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
    end(session, why);
    session->number = number;
    session->opened = false;
    vh_decoder_reset(&session->decoder);
    vh_session_leave_room(session);
    vh_session_hello(session);
}

static struct vh_stream *find_stream(VhSession *session, uint32_t program)
{
    for (uint32_t i = 0; i < session->stream_count; i++)
        if (session->streams[i].id == program)
            return &session->streams[i];
    return NULL;
}

bool vh_session_is_current(const VhSession *session, uint32_t program)
{
    const struct vh_stream *stream = session->up ? find_stream((VhSession *)session, program) : NULL;

    return stream && !stream->wanted && !stream->asked;
}

/* Facts of this program may be missing: a snapshot is owed. What happens between RESYNC and its FIRST is in it. */
static void note_gap(VhSession *session, struct vh_stream *stream)
{
    session->counters.gaps++;
    if (stream->has_state && !(stream->asked && !stream->started))
        stream->wanted = true;
}

void vh_session_resync(VhSession *session, uint32_t program)
{
    struct vh_stream *stream = session->up ? find_stream(session, program) : NULL;

    if (stream && stream->has_state && !(stream->asked && !stream->started))
        stream->wanted = true;
    vh_session_flush(session);
}

/* ---- what the guest says ---- */

static void complain(VhSession *session, const struct vh_frame *frame, const char *what)
{
    g_autofree char *text =
        g_strdup_printf("%s frame of %u bytes %s", vh_type_name(frame->type), frame->len, what);

    session->funcs->complaint(text, session->data);
}

static void refuse(VhSession *session, const struct vh_frame *frame)
{
    session->counters.refused++;
    complain(session, frame, "breaks the protocol and was dropped");
}

static void take_hello(VhSession *session, const struct vh_frame *frame)
{
    struct vh_hello hello;
    int version = 0;

    if (vh_msg_hello(frame, &hello) < 0) {
        refuse(session, frame);
        return;
    }
    if (hello.role != VH_ROLE_GUEST) {
        session->funcs->complaint("the channel's other end is not an injector: it calls itself a host",
                                  session->data);
        return;
    }
    if (session->up && hello.session == session->peer && hello.peer == session->number)
        return;
    version = vh_hello_version(&hello);
    if (version < 0) {
        g_autofree char *text =
            g_strdup_printf("the injector \"%s\" speaks versions %u to %u of the protocol, this "
                            "vhintd %u to %u: bring the older one up to date",
                            hello.agent, hello.version_min, hello.version_max, VH_WIRE_MIN, VH_WIRE_MAX);

        end(session, text);
        session->funcs->complaint(text, session->data);
        if (hello.peer != session->number)
            vh_session_hello(session);
        return;
    }
    end(session, "the injector has restarted");
    if (hello.peer != session->number) {
        /* It speaks to a predecessor, or to nobody yet. A HELLO without a peer makes it answer with ours. */
        vh_session_hello(session);
        return;
    }
    session->peer = hello.session;
    session->version = (uint8_t)version;
    session->up = true;
    session->hello_owed = true;
    session->broken_seen = session->decoder.counters.bad + session->decoder.counters.oversize;
    session->funcs->up(&hello, session->data);
}

static void take_cpus(VhSession *session, const struct vh_frame *frame)
{
    struct vh_cpu cpus[VH_CPUS_MAX];
    uint32_t count = 0;

    if (vh_msg_cpus(frame, cpus, &count) < 0)
        refuse(session, frame);
    else
        session->funcs->cpus(cpus, count, session->data);
}

static void take_programs(VhSession *session, const struct vh_frame *frame)
{
    struct vh_program programs[VH_PROGRAMS_MAX];
    struct vh_stream streams[VH_PROGRAMS_MAX];
    uint32_t count = 0;

    if (vh_msg_programs(frame, programs, &count) < 0) {
        refuse(session, frame);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct vh_program *program = &programs[i];
        struct vh_stream *known = find_stream(session, program->id);
        bool has_state = program->flags & VH_PROGRAM_STATE;

        if (known && (known->next != program->seq || program->lost > known->lost))
            note_gap(session, known);
        streams[i] =
            known ? *known : (struct vh_stream){.id = program->id, .has_state = has_state, .wanted = has_state};
        streams[i].next = program->seq;
        streams[i].lost = program->lost;
    }
    memcpy(session->streams, streams, count * sizeof(streams[0]));
    session->stream_count = count;
    session->funcs->programs(programs, count, session->data);
}

static void take_hints(VhSession *session, const struct vh_frame *frame)
{
    struct vh_batch batch;
    struct vh_records records;
    struct vh_stream *stream = NULL;

    session->credit_owed += frame->len;
    if (vh_msg_batch(frame, &batch, &records) < 0) {
        refuse(session, frame);
        return;
    }
    stream = find_stream(session, batch.program);
    if (!stream) {
        session->counters.refused++;
        complain(session, frame, "is of a program that is not in PROGRAMS");
        return;
    }
    if (frame->type == VH_SNAPSHOT && (batch.flags & VH_SNAPSHOT_FIRST))
        stream->started = true;
    else if (batch.seq != stream->next || batch.lost > stream->lost)
        note_gap(session, stream);
    stream->next = batch.seq + (frame->type == VH_HINTS ? batch.count : 0);
    stream->lost = batch.lost;
    if (frame->type == VH_HINTS)
        session->funcs->hints(&batch, records, session->data);
    else
        session->funcs->snapshot(&batch, records, session->data);
}

static void end_resync(VhSession *session, const struct vh_request *request, const struct vh_answer *answer,
                       const char *text)
{
    struct vh_stream *stream = find_stream(session, request->program);

    if (stream)
        stream->asked = false;
    if (answer->error && stream) {
        g_autofree char *told = g_strdup_printf("the injector refuses a snapshot: %s", *text ? text : "no reason");

        session->funcs->complaint(told, session->data);
    }
}

static void take_answer(VhSession *session, const struct vh_frame *frame)
{
    struct vh_answer answer;
    const char *text = NULL;
    const char *log = NULL;
    g_autofree char *text_copy = NULL;
    g_autofree char *log_copy = NULL;
    struct vh_request *request = NULL;

    if (vh_msg_answer(frame, &answer, &text, &log) < 0) {
        refuse(session, frame);
        return;
    }
    request = vh_requests_take(session, frame->id);
    if (!request) {
        session->counters.refused++;
        complain(session, frame, "answers nothing that was asked");
        return;
    }
    text_copy = g_utf8_make_valid(text, answer.text_len);
    log_copy = g_utf8_make_valid(log, answer.log_len);
    if (request->type == VH_RESYNC)
        end_resync(session, request, &answer, text_copy);
    if (request->func)
        request->func(&answer, text_copy, log_copy, request->data);
    vh_request_free(request);
}

static void take_frame(VhSession *session, const struct vh_frame *frame)
{
    if (frame->type == VH_HELLO) {
        take_hello(session, frame);
        return;
    }
    if (!session->up)
        return;
    if (frame->version != session->version) {
        session->counters.refused++;
        complain(session, frame, "is of another protocol version than the one agreed on");
        return;
    }
    session->counters.frames++;
    switch (frame->type) {
    case VH_CPUS:
        take_cpus(session, frame);
        break;
    case VH_PROGRAMS:
        take_programs(session, frame);
        break;
    case VH_HINTS:
    case VH_SNAPSHOT:
        take_hints(session, frame);
        break;
    case VH_ANSWER:
        take_answer(session, frame);
        break;
    default:
        session->counters.unknown++;
        break;
    }
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
        note_gap(session, &session->streams[i]);
}

void vh_session_receive(VhSession *session, const uint8_t *bytes, size_t len)
{
    struct vh_frame frame;

    vh_session_take_room(session);
    while (vh_decoder_feed(&session->decoder, &bytes, &len, &frame) == 1) {
        note_broken(session);
        take_frame(session, &frame);
    }
    note_broken(session);
    vh_session_leave_room(session);
    vh_session_flush(session);
}
