// SPDX-License-Identifier: GPL-2.0-or-later
// Sends a session's frames, and forgets the session when that fails.
#include "send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vh_session_greet(struct vh_session *s, uint64_t peer)
{
    struct vh_hello hello = s->self;
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};

    hello.peer = peer;
    (void)vh_out_mark(&s->out);
    (void)vh_out_frame(&s->out, VH_HELLO, 0, 0, &part, 1);
}

void vh_session_forget_due(struct vh_session *s)
{
    for (uint32_t i = 0; i < s->due_count; i++)
        free(s->due[i].facts.records);
    s->due_count = 0;
}

void vh_session_forget_host(struct vh_session *s)
{
    s->host = 0;
    s->epoch++;
    vh_purse_begin(&s->purse, 0);
    vh_session_forget_due(s);
    vh_transfer_end(&s->transfer);
    s->transfer.id = 0;
}

/* Invariant 4 leaves room for the frame; should that ever fail, a new greeting starts from scratch
 * rather than leave a request without its answer. */
void vh_session_send(struct vh_session *s, enum vh_type type, uint32_t id, struct iovec *parts,
                     int count)
{
    if (vh_out_frame(&s->out, type, s->version, id, parts, count) == 0)
        return;
    vh_out_clear(&s->out);
    vh_session_forget_host(s);
    vh_session_greet(s, 0);
}

void vh_session_answer(struct vh_session *s, uint32_t id, int error, struct vh_reply *reply)
{
    size_t cut = reply->log_len > VH_LOG_MAX ? reply->log_len - VH_LOG_MAX : 0;
    struct vh_answer a = {
        .error = (uint32_t)-error,
        .program = reply->program,
        .text_len = (uint32_t)strnlen(reply->text, VH_TEXT_MAX),
        .log_len = (uint32_t)(reply->log_len - cut),
        .flags = reply->log_cut || cut ? VH_ANSWER_LOG_CUT : 0,
    };
    struct iovec parts[] = {
        {.iov_base = &a, .iov_len = sizeof(a)},
        {.iov_base = reply->text, .iov_len = a.text_len},
        {.iov_base = reply->log ? reply->log + cut : NULL, .iov_len = a.log_len},
    };

    vh_session_send(s, VH_ANSWER, id, parts, 3);
    free(reply->log);
    reply->log = NULL;
}

void vh_session_answer_text(struct vh_session *s, uint32_t id, int error, const char *text)
{
    struct vh_reply reply = {0};

    snprintf(reply.text, sizeof(reply.text), "%s", text);
    vh_session_answer(s, id, error, &reply);
}

size_t vh_session_payload_room(const struct vh_session *s, uint32_t program)
{
    size_t room = vh_purse_room(&s->purse, program);

    return room < VH_SLICE ? room : VH_SLICE;
}

bool vh_session_waits(const struct vh_session *s, struct vh_ticket ticket)
{
    return s->host && ticket.epoch == s->epoch;
}
