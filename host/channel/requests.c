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

bool vh_session_waits(const VhSession *session)
{
    return session->waiting.head || session->sent.head;
}

unsigned vh_session_owed(const VhSession *session)
{
    return session->waiting.length + session->sent.length - session->resyncs;
}

bool vh_session_may_ask(const VhSession *session)
{
    return session->up && vh_session_owed(session) < VH_SESSION_OWED;
}

struct vh_request *vh_request_new(VhSession *session, enum vh_type type, VhAnswerFunc func,
                                  gpointer data)
{
    struct vh_request *request = g_new0(struct vh_request, 1);

    g_assert(session->up);
    g_assert(type == VH_RESYNC || vh_session_may_ask(session)); /* invariant 6 */
    if (++session->last_id == 0)
        session->last_id = 1;
    request->id = session->last_id;
    request->type = type;
    request->func = func;
    request->data = data;
    if (type == VH_RESYNC) {
        request->begun = true;
        session->resyncs++;
        g_queue_push_tail(&session->sent, request);
    } else {
        g_queue_push_tail(&session->waiting, request);
    }
    vh_requests_check(session);
    session->funcs->asked(session->data);
    return request;
}

static struct vh_request *pop(VhSession *session)
{
    return g_queue_pop_head(session->sent.length ? &session->sent : &session->waiting);
}

void vh_requests_fail(VhSession *session, const char *why)
{
    struct vh_request *request = NULL;

    g_assert(!session->up);
    session->resyncs = 0;
    session->load = NULL;
    while ((request = pop(session))) {
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

    if (!request->begun && request->type == VH_LOAD) {
        struct iovec parts[] = {{&request->load, sizeof(request->load)},
                                {request->tunables, request->load.tunables_len}};

        request->begun = vh_session_send(session, VH_LOAD, request->id, parts, 2);
        if (request->begun)
            session->load = request;
        return request->begun;
    }
    if (!request->begun) {
        struct vh_unload unload = {{0}};
        struct iovec part = {&unload, sizeof(unload)};

        memcpy(unload.name, request->name, sizeof(unload.name));
        request->begun = vh_session_send(session, VH_UNLOAD, request->id, &part, 1);
        return request->begun;
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

static bool all_sent(const struct vh_request *request)
{
    return request->begun &&
           (!request->object || request->offset >= g_bytes_get_size(request->object));
}

void vh_requests_flush(VhSession *session)
{
    GList *next = NULL;

    for (GList *at = session->waiting.head; at; at = next) {
        struct vh_request *request = at->data;

        next = at->next;
        if (request->type == VH_LOAD && session->load && session->load != request)
            continue; /* invariant 1 */
        while (!all_sent(request))
            if (!send_piece(session, request))
                return;
        g_queue_unlink(&session->waiting, at);
        g_queue_push_tail_link(&session->sent, at);
    }
    vh_requests_check(session);
}

static struct vh_request *find_in(const GQueue *queue, uint32_t id)
{
    for (const GList *at = queue->head; at; at = at->next) {
        struct vh_request *request = at->data;

        if (request->id == id)
            return request;
    }
    return NULL;
}

struct vh_request *vh_requests_find(VhSession *session, uint32_t id)
{
    struct vh_request *request = find_in(&session->sent, id);

    return request ? request : find_in(&session->waiting, id);
}

bool vh_requests_resync(const VhSession *session, uint32_t program)
{
    for (const GList *at = session->resyncs ? session->sent.head : NULL; at; at = at->next) {
        const struct vh_request *request = at->data;

        if (request->type == VH_RESYNC && request->program == program)
            return true;
    }
    return false;
}

void vh_requests_remove(VhSession *session, struct vh_request *request)
{
    if (!g_queue_remove(&session->sent, request))
        g_queue_remove(&session->waiting, request);
    session->resyncs -= request->type == VH_RESYNC;
    if (session->load == request)
        session->load = NULL;
}

/* ---- invariants ---- */

/* Is what stands in `sent` there by right? */
static bool sent_is_right(const VhSession *session)
{
    unsigned resyncs = 0;

    for (const GList *at = session->sent.head; at; at = at->next) {
        const struct vh_request *request = at->data;

        resyncs += request->type == VH_RESYNC;
        if (!all_sent(request) || (request->type == VH_LOAD && request != session->load))
            return false;
    }
    return resyncs == session->resyncs;
}

/* And in `waiting`? Only a LOAD can be half sent. */
static bool waiting_is_right(const VhSession *session)
{
    for (const GList *at = session->waiting.head; at; at = at->next) {
        const struct vh_request *request = at->data;

        if (request->type == VH_RESYNC || (request->begun && request != session->load))
            return false;
    }
    return true;
}

void vh_requests_check(const VhSession *session)
{
    g_assert(session->resyncs <= VH_PROGRAMS_MAX);                            /* invariant 2 */
    g_assert(vh_session_owed(session) <= VH_SESSION_OWED);                    /* invariant 6 */
    g_assert(session->up || !session->waiting.length + session->sent.length); /* invariant 4 */
    VH_ASSERT_DEEP(sent_is_right(session));                                   /* invariants 1, 8 */
    VH_ASSERT_DEEP(waiting_is_right(session));
}
