// SPDX-License-Identifier: GPL-2.0-or-later
// Sends one frame, if there is room for it.
#include "channel/state.h"

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
