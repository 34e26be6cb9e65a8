// SPDX-License-Identifier: GPL-2.0-or-later
// What a session has asked its injector: objects in pieces, and whoever waits for an answer.
#include <string.h>

#include "base/assert.h"
#include "channel/state.h"

void vh_request_free(struct vh_request *request)
{
    g_free(request->tunables);
    g_clear_pointer(&request->object, g_bytes_unref);
    g_free(request);
}

struct vh_request *vh_request_new(VhSession *session, enum vh_type type, VhAnswerFunc func,
                                  gpointer data)
{
    struct vh_request *request = g_new0(struct vh_request, 1);

    g_assert(session->up);
    if (++session->last_id == 0)
        session->last_id = 1;
    request->id = session->last_id;
    request->type = type;
    request->func = func;
    request->data = data;
    g_queue_push_tail(&session->requests, request);
    session->resyncs += type == VH_RESYNC;
    session->funcs->asked(session->data);
    return request;
}

void vh_requests_fail(VhSession *session, const char *why)
{
    struct vh_request *request = NULL;

    g_assert(!session->up);
    session->resyncs = 0;
    while ((request = g_queue_pop_head(&session->requests))) {
        if (request->func)
            request->func(NULL, why, "", request->data);
        vh_request_free(request);
    }
}

/* Sends the next piece of a request; false: no room. */
static bool send_piece(VhSession *session, struct vh_request *request)
{
    gsize size = 0;
    const uint8_t *object = request->object ? g_bytes_get_data(request->object, &size) : NULL;

    if (!request->sent && request->type == VH_LOAD) {
        struct iovec parts[] = {{&request->load, sizeof(request->load)},
                                {request->tunables, request->load.tunables_len}};

        request->sent = vh_session_send(session, VH_LOAD, request->id, parts, 2);
        return request->sent;
    }
    if (!request->sent) {
        struct vh_unload unload = {{0}};
        struct iovec part = {&unload, sizeof(unload)};

        memcpy(unload.name, request->name, sizeof(unload.name));
        request->sent = vh_session_send(session, VH_UNLOAD, request->id, &part, 1);
        return request->sent;
    }
    if (request->offset < size) {
        struct vh_chunk chunk = {.offset = request->offset};
        uint32_t len = MIN((uint32_t)size - request->offset, VH_CHUNK_MAX);
        struct iovec parts[] = {{&chunk, sizeof(chunk)}, {(void *)(object + request->offset), len}};

        if (!vh_session_send(session, VH_CHUNK, request->id, parts, 2))
            return false;
        request->offset += len;
    }
    return true;
}

/* Invariant 1. */
static bool one_load_at_most(const VhSession *session)
{
    unsigned underway = 0;

    for (const GList *at = session->requests.head; at; at = at->next) {
        const struct vh_request *request = at->data;

        underway += request->type == VH_LOAD && request->sent;
    }
    return underway <= 1;
}

static bool all_sent(const struct vh_request *request)
{
    return request->sent &&
           (!request->object || request->offset >= g_bytes_get_size(request->object));
}

void vh_requests_flush(VhSession *session)
{
    bool load_underway = false;

    for (GList *at = session->requests.head; at; at = at->next) {
        struct vh_request *request = at->data;

        if (request->type == VH_RESYNC || (request->type == VH_LOAD && load_underway))
            continue;
        while (!all_sent(request))
            if (!send_piece(session, request))
                return;
        load_underway = load_underway || request->type == VH_LOAD;
    }
    VH_ASSERT_DEEP(one_load_at_most(session));
}

struct vh_request *vh_requests_find(VhSession *session, uint32_t id)
{
    for (GList *at = session->requests.head; at; at = at->next) {
        struct vh_request *request = at->data;

        if (request->id == id)
            return request;
    }
    return NULL;
}

bool vh_requests_resync(const VhSession *session, uint32_t program)
{
    for (const GList *at = session->requests.head; at; at = at->next) {
        const struct vh_request *request = at->data;

        if (request->type == VH_RESYNC && request->program == program)
            return true;
    }
    return false;
}

void vh_requests_remove(VhSession *session, struct vh_request *request)
{
    g_queue_remove(&session->requests, request);
    session->resyncs -= request->type == VH_RESYNC;
}
