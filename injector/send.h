/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What session.c and resync.c send with: the lowest part of a session, private to it. */
#pragma once

#include "session.h"

/* Sends a HELLO. `peer`: the host's session that this answers, 0 for none yet. */
void vh_session_greet(struct vh_session *session, uint64_t peer);
/* Forgets everything that belongs to one session of the host's. */
void vh_session_forget_host(struct vh_session *session);

/* Forgets all that is due: nobody waits for it. */
void vh_session_forget_due(struct vh_session *session);

/* Queues a frame. */
void vh_session_send(struct vh_session *session, enum vh_type type, uint32_t id,
                     struct iovec *parts, int count);
/* Ends a request; frees the reply's log. `error`: 0 or -errno. */
void vh_session_answer(struct vh_session *session, uint32_t id, int error, struct vh_reply *reply);
/* The same with nothing but a text, "" for none. */
void vh_session_answer_text(struct vh_session *session, uint32_t id, int error, const char *text);
/* Bytes of payload that credit and VH_SLICE allow one program. */
size_t vh_session_payload_room(const struct vh_session *session, uint32_t program);
