/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RESYNC: session.c hands it over, vh_session_pump answers it. */
#pragma once

#include "session.h"

/* Takes a RESYNC in. */
void vh_resync_request(struct vh_session *session, const struct vh_frame *frame);
