/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RESYNC: session.c hands it over, vh_session_pump answers it. */
#pragma once

#include "session.h"

/* Takes a RESYNC in. */
void vh_resync_request(struct vh_session *session, const struct vh_frame *frame);
/* Only these programs run now. */
void vh_resync_prune(struct vh_session *session, const struct vh_program *programs, uint32_t count);
/* Invariant 3: does the session hold facts of the program? */
bool vh_resync_holds(const struct vh_session *session, uint32_t program);
