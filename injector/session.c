// SPDX-License-Identifier: GPL-2.0-or-later
// Speaks the guest's side of protocol/PROTOCOL.md: see session.h.
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resync.h"
#include "send.h"

void vh_session_send_cpus(struct vh_session *s)
{
    struct vh_cpu cpus[VH_CPUS_MAX];
    struct vh_cpus head = {0};
    struct iovec parts[] = {{.iov_base = &head, .iov_len = sizeof(head)}, {.iov_base = cpus}};

    if (!s->host)
        return;
    head.count = s->ops->cpus(s->context, cpus);
    parts[1].iov_len = head.count * sizeof(cpus[0]);
    vh_session_send(s, VH_CPUS, 0, parts, 2);
}

void vh_session_send_programs(struct vh_session *s)
{
    struct vh_program programs[VH_PROGRAMS_MAX];
    struct vh_programs head = {0};
    struct iovec parts[] = {{.iov_base = &head, .iov_len = sizeof(head)}, {.iov_base = programs}};

    if (!s->host)
        return;
    head.count = s->ops->programs(s->context, programs);
    parts[1].iov_len = head.count * sizeof(programs[0]);
    vh_session_send(s, VH_PROGRAMS, 0, parts, 2);
    vh_resync_prune(s, programs, head.count);
    for (uint32_t i = 0; i < head.count; i++) {
        if (s->ops->trouble(s->context, programs[i].id)[0])
            vh_session_send_trouble(s, programs[i].id);
    }
}

void vh_session_send_trouble(struct vh_session *s, uint32_t program)
{
    const char *text = s->ops->trouble(s->context, program);
    struct vh_trouble head = {.program = program, .text_len = (uint32_t)strnlen(text, VH_TEXT_MAX)};
    struct iovec parts[] = {{.iov_base = &head, .iov_len = sizeof(head)},
                            {.iov_base = (void *)text, .iov_len = head.text_len}};

    if (s->host)
        vh_session_send(s, VH_TROUBLE, 0, parts, 2);
}

static struct vh_ticket ticket_of(const struct vh_session *s, uint32_t request)
{
    return (struct vh_ticket){.epoch = s->epoch, .request = request};
}

void vh_session_done(struct vh_session *s, struct vh_ticket ticket, int error,
                     struct vh_reply *reply)
{
    if (vh_session_waits(s, ticket)) {
        vh_session_answer(s, ticket.request, error, reply);
        return;
    }
    free(reply->log);
    reply->log = NULL;
}

/* A HELLO of the session that is up, and that knows ours, confirms it; any other begins a new one.
 */
static void on_hello(struct vh_session *s, const struct vh_frame *frame)
{
    struct vh_hello hello;
    int version;

    if (vh_msg_hello(frame, &hello) || hello.role != VH_ROLE_HOST) {
        s->dropped++;
        return;
    }
    if (s->host && hello.session == s->host && hello.peer == s->self.session)
        return;
    vh_session_forget_host(s);
    version = vh_hello_version(&hello);
    vh_session_greet(s, hello.session);
    if (version < 0)
        return; /* our version range tells the host why nothing else comes */
    s->host = hello.session;
    s->version = (uint8_t)version;
    vh_purse_begin(&s->purse, hello.credit);
    s->ops->opened(s->context);
    vh_session_send_cpus(s);
    vh_session_send_programs(s);
}

/* Finds the reason, if there is one, to refuse a LOAD before its object comes. */
static int check_name(struct vh_session *s, const struct vh_load *load, char *text)
{
    struct vh_program programs[VH_PROGRAMS_MAX];
    uint32_t count = s->ops->programs(s->context, programs);

    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(programs[i].name, load->name) != 0)
            continue;
        if (load->flags & VH_LOAD_REPLACE)
            return 0;
        snprintf(text, VH_TEXT_MAX,
                 "%s: a program of this name runs in the guest; replace it, or unload it first",
                 load->name);
        return -EEXIST;
    }
    if (count < VH_PROGRAMS_MAX)
        return 0;
    snprintf(text, VH_TEXT_MAX,
             "%s: the guest already runs %u programs, the most there may be; unload one first",
             load->name, VH_PROGRAMS_MAX);
    return -ENOSPC;
}

static void on_load(struct vh_session *s, const struct vh_frame *frame)
{
    char text[VH_TEXT_MAX + 1] = "";
    struct vh_load load;
    const char *tunables;
    int error;

    if (s->transfer.active) {
        snprintf(text, sizeof(text), "%s: given up after %u of %u bytes, because another LOAD came",
                 s->transfer.load.name, s->transfer.got, s->transfer.load.size);
        vh_session_answer_text(s, s->transfer.id, -ECANCELED, text);
        vh_transfer_end(&s->transfer);
    }
    s->transfer.id = frame->id;
    if (vh_msg_load(frame, &load, &tunables)) {
        vh_session_answer_text(s, frame->id, -EBADMSG, "a LOAD that breaks the protocol's layout");
        return;
    }
    error = check_name(s, &load, text);
    if (error == 0)
        error = vh_transfer_begin(&s->transfer, frame->id, &load, tunables, text);
    if (error)
        vh_session_answer_text(s, frame->id, error, text);
}

static void on_chunk(struct vh_session *s, const struct vh_frame *frame)
{
    char text[VH_TEXT_MAX + 1] = "";
    struct vh_chunk chunk;
    const uint8_t *data;
    uint32_t len;
    int got;

    if (!s->transfer.active && s->transfer.id == frame->id)
        return; /* its LOAD has been answered already */
    if (!s->transfer.active || s->transfer.id != frame->id) {
        vh_session_answer_text(s, frame->id, -EPROTO, "a CHUNK without its LOAD");
        return;
    }
    if (vh_msg_chunk(frame, &chunk, &data, &len)) {
        got = -EBADMSG;
        snprintf(text, sizeof(text), "%s: a CHUNK that breaks the protocol's layout",
                 s->transfer.load.name);
    } else {
        got = vh_transfer_add(&s->transfer, &chunk, data, len, text);
    }
    if (got == 1) {
        s->ops->load(s->context, ticket_of(s, frame->id), &s->transfer);
        vh_transfer_end(&s->transfer);
    }
    if (got >= 0)
        return;
    vh_transfer_end(&s->transfer);
    vh_session_answer_text(s, frame->id, got, text);
}

static void on_unload(struct vh_session *s, const struct vh_frame *frame)
{
    struct vh_unload unload;

    if (vh_msg_unload(frame, &unload)) {
        vh_session_answer_text(s, frame->id, -EBADMSG,
                               "an UNLOAD that breaks the protocol's layout");
        return;
    }
    s->ops->unload(s->context, ticket_of(s, frame->id), unload.name);
}

static void on_list(struct vh_session *s, const struct vh_frame *frame)
{
    vh_session_send_cpus(s);
    vh_session_send_programs(s);
    vh_session_answer_text(s, frame->id, 0, "");
}

static void on_credit(struct vh_session *s, const struct vh_frame *frame)
{
    struct vh_credit credit;

    if (vh_msg_credit(frame, &credit))
        s->dropped++;
    else
        vh_purse_add(&s->purse, credit.bytes);
}

static void on_ping(struct vh_session *s, const struct vh_frame *frame)
{
    struct vh_ping ping;
    struct vh_pong pong = {0};
    struct iovec part = {.iov_base = &pong, .iov_len = sizeof(pong)};

    if (vh_msg_ping(frame, &ping)) {
        s->dropped++;
        return;
    }
    pong.host_ns = ping.host_ns;
    pong.guest_ns = s->ops->now(s->context);
    vh_session_send(s, VH_PONG, frame->id, &part, 1);
}

static void on_frame(struct vh_session *s, const struct vh_frame *frame)
{
    static const struct {
        enum vh_type type;
        void (*handle)(struct vh_session *s, const struct vh_frame *frame);
    } handlers[] = {
        {VH_LOAD, on_load}, {VH_CHUNK, on_chunk},           {VH_UNLOAD, on_unload},
        {VH_LIST, on_list}, {VH_RESYNC, vh_resync_request}, {VH_CREDIT, on_credit},
        {VH_PING, on_ping},
    };

    if (frame->type == VH_HELLO) {
        on_hello(s, frame);
        return;
    }
    for (size_t i = 0;
         s->host && frame->version == s->version && i < sizeof(handlers) / sizeof(handlers[0]);
         i++) {
        if (handlers[i].type == frame->type) {
            handlers[i].handle(s, frame);
            return;
        }
    }
    s->dropped++;
}

size_t vh_session_input(struct vh_session *s, const uint8_t *bytes, size_t len)
{
    const uint8_t *at = bytes;
    struct vh_frame frame;

    while (len > 0 && !vh_out_full(&s->out)) {
        if (vh_decoder_feed(&s->decoder, &at, &len, &frame) == 1)
            on_frame(s, &frame);
        vh_session_pump(s);
    }
    return (size_t)(at - bytes);
}

size_t vh_session_room(const struct vh_session *s, uint32_t program)
{
    size_t room = vh_session_payload_room(s, program);

    if (!s->host || vh_resync_holds(s, program) || vh_out_full(&s->out) ||
        room < sizeof(struct vh_batch))
        return 0;
    return room - sizeof(struct vh_batch);
}

void vh_session_hints(struct vh_session *s, const struct vh_batch *batch, const uint8_t *records,
                      size_t len)
{
    struct iovec parts[] = {
        {.iov_base = (void *)batch, .iov_len = sizeof(*batch)},
        {.iov_base = (void *)records, .iov_len = len},
    };

    vh_purse_use(&s->purse, batch->program, sizeof(*batch) + len);
    vh_session_send(s, VH_HINTS, 0, parts, 2);
}

int vh_session_init(struct vh_session *s, const struct vh_hello *self,
                    const struct vh_session_ops *ops, void *context)
{
    memset(s, 0, sizeof(*s));
    s->ops = ops;
    s->context = context;
    s->self = *self;
    s->self.magic = VH_HELLO_MAGIC;
    s->self.version_min = VH_WIRE_MIN;
    s->self.version_max = VH_WIRE_MAX;
    s->self.role = VH_ROLE_GUEST;
    vh_decoder_init(&s->decoder, s->buffer);
    return vh_out_init(&s->out);
}

void vh_session_free(struct vh_session *s)
{
    vh_session_forget_host(s);
    vh_out_free(&s->out);
}

void vh_session_open(struct vh_session *s, uint64_t number)
{
    vh_session_close(s);
    s->self.session = number;
    vh_session_greet(s, 0);
}

void vh_session_close(struct vh_session *s)
{
    vh_session_forget_host(s);
    vh_out_clear(&s->out);
    vh_decoder_reset(&s->decoder);
}
