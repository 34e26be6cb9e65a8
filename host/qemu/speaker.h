/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which process writes what is read from a connection.
 *
 * The kernel says so with each piece (SCM_CREDENTIALS), and only root can lie about it. Who listens
 * on a socket may be no more than the one who made it for somebody else; who once listened may have
 * ended, and another process may have his number (SO_PEERCRED). The speaker's number may be
 * another's, too, by the time that it is read. But whoever has got it since he wrote something was
 * started later than the connection, which is told by the clock. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "base/thread-id.h"

typedef struct VhSpeaker VhSpeaker;

/* Of a connected UNIX stream socket, which stays the caller's. */
VhSpeaker *vh_speaker_new(int fd);
void vh_speaker_free(VhSpeaker *speaker);

/* As recv(2): 0 at the end of the stream; -1 without an error: nothing is there now. -1 and
 * VH_ERROR_REFUSED: another process speaks than the one before, or one that is gone; or
 * VH_ERROR_FAILED. */
ssize_t vh_speaker_read(VhSpeaker *speaker, int fd, void *bytes, gsize size, GError **error);

/* The process that has written all that was read; `thread` 0: not known, as it is in another PID
 * namespace or has said nothing yet. */
struct vh_thread_id vh_speaker_of(const VhSpeaker *speaker);
