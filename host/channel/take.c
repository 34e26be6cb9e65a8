// SPDX-License-Identifier: GPL-2.0-or-later
// What an injector says, frame by frame.
#include <string.h>

#include "channel/state.h"

void vh_session_end(VhSession *session, const char *why)
{
    bool was_up = session->up;

    session->busy++;
    session->up = false;
    session->peer = 0;
    session->stream_count = 0;
    session->credit_owed = 0;
    vh_requests_fail(session, why);
    if (was_up)
        session->funcs->down(why, session->data);
    session->busy--;
}

struct vh_stream *vh_session_find_stream(VhSession *session, uint32_t program)
{
    for (uint32_t i = 0; i < session->stream_count; i++)
        if (session->streams[i].id == program)
            return &session->streams[i];
    return NULL;
}

void vh_session_note_gap(VhSession *session, struct vh_stream *stream)
{
    session->counters.gaps++;
    if (stream->has_state && !(stream->asked && !stream->started))
        stream->wanted = true;
}

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
        session->funcs->complaint(
            "the channel's other end is not an injector: it calls itself a host", session->data);
        return;
    }
    if (session->up && hello.session == session->peer && hello.peer == session->number)
        return;
    version = vh_hello_version(&hello);
    if (version < 0) {
        g_autofree char *text = g_strdup_printf(
            "the injector \"%s\" speaks versions %u to %u of the protocol, this "
            "vhintd %u to %u: bring the older one up to date",
            hello.agent, hello.version_min, hello.version_max, VH_WIRE_MIN, VH_WIRE_MAX);

        vh_session_end(session, text);
        session->funcs->complaint(text, session->data);
        session->hello_owed = session->hello_owed || hello.peer != session->number;
        return;
    }
    vh_session_end(session, "the injector has begun a new session: it was restarted, or hears only "
                            "now that vhintd was");
    if (hello.peer != session->number) {
        /* It speaks to a predecessor, or to nobody yet. A HELLO without a peer makes it answer with
         * ours. */
        session->hello_owed = true;
        return;
    }
    if (!session->funcs->may_begin(session->data)) /* invariant 7 */
        return;
    /* Invariant 3: what was up has gone down above. */
    g_assert(!session->up && !vh_session_waits(session));
    session->peer = hello.session;
    session->version = (uint8_t)version;
    session->up = true;
    session->credit = VH_SESSION_CREDIT;
    session->heard = g_get_monotonic_time();
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
        struct vh_stream *known = vh_session_find_stream(session, program->id);
        bool has_state = program->flags & VH_PROGRAM_STATE;

        if (known && (known->next != program->seq || program->lost > known->lost))
            vh_session_note_gap(session, known);
        /* It was there before, perhaps, and what was asked about it then is unanswered. */
        streams[i] = known ? *known
                           : (struct vh_stream){.id = program->id,
                                                .has_state = has_state,
                                                .wanted = has_state,
                                                .asked = vh_requests_resync(session, program->id)};
        streams[i].next = program->seq;
        streams[i].lost = program->lost;
    }
    memcpy(session->streams, streams, count * sizeof(streams[0]));
    session->stream_count = count;
    session->funcs->programs(programs, count, session->data);
}

/* Invariant 7. What it said may be no longer true: without its session nothing of that is left. */
static void cut_off(VhSession *session)
{
    const char *why = "the injector has sent more hints than it had credit for: is it the one that "
                      "came with vhint?";

    session->counters.overdrawn++;
    vh_session_end(session, why);
    session->funcs->complaint(why, session->data);
    session->hello_owed = true;
}

static void take_hints(VhSession *session, const struct vh_frame *frame)
{
    struct vh_batch batch;
    struct vh_records records;
    struct vh_stream *stream = NULL;

    if (frame->len > session->credit) {
        cut_off(session);
        return;
    }
    session->credit -= frame->len;
    session->credit_owed += frame->len;
    if (vh_msg_batch(frame, &batch, &records) < 0) {
        refuse(session, frame);
        return;
    }
    stream = vh_session_find_stream(session, batch.program);
    if (!stream) {
        session->counters.refused++;
        complain(session, frame, "is of a program that is not in PROGRAMS");
        return;
    }
    if (frame->type == VH_SNAPSHOT && (batch.flags & VH_SNAPSHOT_FIRST))
        stream->started = true;
    else if (batch.seq != stream->next || batch.lost > stream->lost)
        vh_session_note_gap(session, stream);
    stream->next = batch.seq + (frame->type == VH_HINTS ? batch.count : 0);
    stream->lost = batch.lost;
    if (frame->type == VH_HINTS)
        session->funcs->hints(&batch, records, session->data);
    else
        session->funcs->snapshot(&batch, records, session->data);
}

static void end_resync(VhSession *session, const struct vh_request *request,
                       const struct vh_answer *answer, const char *text)
{
    struct vh_stream *stream = vh_session_find_stream(session, request->program);

    if (stream)
        stream->asked = false;
    if (answer->error && stream) {
        g_autofree char *told =
            g_strdup_printf("the injector refuses a snapshot: %s", *text ? text : "no reason");

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
    request = vh_requests_find(session, frame->id);
    if (!request || !request->begun) {
        session->counters.refused++;
        complain(session, frame, "answers nothing that was asked");
        return;
    }
    vh_requests_remove(session, request);
    text_copy = g_utf8_make_valid(text, answer.text_len);
    log_copy = g_utf8_make_valid(log, answer.log_len);
    if (request->type == VH_RESYNC)
        end_resync(session, request, &answer, text_copy);
    if (request->func)
        request->func(&answer, text_copy, log_copy, request->data);
    vh_request_free(request);
    session->funcs->answered(session->data);
}

static void take_pong(VhSession *session, const struct vh_frame *frame)
{
    struct vh_pong pong;

    if (vh_msg_pong(frame, &pong) < 0)
        refuse(session, frame);
}

static void take_trouble(VhSession *session, const struct vh_frame *frame)
{
    struct vh_trouble trouble;
    const char *text = NULL;
    g_autofree char *copy = NULL;

    if (vh_msg_trouble(frame, &trouble, &text) < 0) {
        refuse(session, frame);
        return;
    }
    copy = g_utf8_make_valid(text, trouble.text_len);
    session->funcs->trouble(trouble.program, copy, session->data);
}

void vh_session_take_frame(VhSession *session, const struct vh_frame *frame)
{
    if (frame->type == VH_HELLO) {
        take_hello(session, frame);
        return;
    }
    if (!session->up) /* invariant 3 */
        return;
    if (frame->version != session->version) {
        session->counters.refused++;
        complain(session, frame, "is of another protocol version than the one agreed on");
        return;
    }
    session->counters.frames++;
    session->heard = g_get_monotonic_time();
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
    case VH_PONG:
        take_pong(session, frame);
        break;
    case VH_TROUBLE:
        take_trouble(session, frame);
        break;
    default:
        session->counters.unknown++;
        break;
    }
}
