/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a listening UNIX socket for the root of this machine and one group. */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

/* Listens at `path` with mode 0660 root:`group`, or 0600 without a group (VH_PEER_NO_GROUP of
 * peer.h). A missing directory is made (0755). The socket a dead daemon left there is replaced; one
 * that somebody serves, or a file that is no socket, is an error (G_IO_ERROR) that names it. The
 * socket is close-on-exec and non-blocking. One that the service manager holds at `path` is taken
 * as it is (service.h). */
GSocket *vh_listen_unix(const char *path, gid_t group, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Closes `listener` and removes `path`, unless somebody else serves it by now, or the service
 * manager holds it. */
void vh_listen_remove(const char *path, GSocket *listener);
