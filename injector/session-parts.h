/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What session.c and resync.c share with nobody else. */
#pragma once

#include "session.h"

/* Queues a frame. */
void vh_session_send(struct vh_session *session, enum vh_type type, uint32_t id,
                     struct iovec *parts, int count);
/* Ends a request; frees the reply's log. `error`: 0 or -errno. */
void vh_session_answer(struct vh_session *session, uint32_t id, int error, struct vh_reply *reply);
/* The same with nothing but a text, "" for none. */
void vh_session_answer_text(struct vh_session *session, uint32_t id, int error, const char *text);
/* Bytes of payload that credit and frame size allow. */
size_t vh_session_payload_room(const struct vh_session *session);

/* resync.c: takes a RESYNC in; vh_session_pump does the rest. */
void vh_resync_request(struct vh_session *session, const struct vh_frame *frame);
