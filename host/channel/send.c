// SPDX-License-Identifier: GPL-2.0-or-later
// Sends one frame, if there is room for it.
#include "channel/state.h"

/* Neither room() nor send() may call the session: what they would change is being used. */
size_t vh_session_room(VhSession *session)
{
    size_t room = 0;

    g_assert(!session->sending);
    session->sending = true;
    room = session->funcs->room(session->data);
    session->sending = false;
    return room;
}

void vh_session_put(VhSession *session, const uint8_t *bytes, size_t len)
{
    g_assert(!session->sending);
    session->sending = true;
    session->funcs->send(bytes, len, session->data);
    session->sending = false;
}

bool vh_session_send(VhSession *session, enum vh_type type, uint32_t id, const struct iovec *parts,
                     int count)
{
    size_t payload = 0;
    long len = 0;

    for (int i = 0; i < count; i++)
        payload += parts[i].iov_len;
    g_assert(VH_FRAME_ENCODED(payload) <= VH_SESSION_SEND_MAX);
    if (vh_session_room(session) < VH_FRAME_ENCODED(payload))
        return false;
    len = vh_frame_encode(session->scratch->output, VH_SESSION_SEND_MAX, type,
                          type == VH_HELLO ? 0 : session->version, id, parts, count);
    g_assert(len > 0);
    vh_session_put(session, session->scratch->output, (size_t)len);
    return true;
}
