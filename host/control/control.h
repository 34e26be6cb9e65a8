/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control interface (org.vhint.Manager1.xml) on a UNIX socket, for root and the group vhint. */
#pragma once

#include <glib.h>

#include "base/bus.h"
#include "manager/manager.h"

#define VH_CONTROL_CLIENTS_MAX 64u
#define VH_CONTROL_AUTH_SECONDS 5u /* for a client to say who it is */
#define VH_CONTROL_MESSAGE_MAX \
    (20u << 20) /* bytes; a client that sends a longer one is cut off \
                 */
#define VH_CONTROL_CALLS_MAX \
    16u /* of a client, whose answers it has not read; one that calls on is cut off */

typedef struct VhControl VhControl;

/* Serves `manager` (borrowed, must outlive the control) at `socket_path`, from a thread of its own;
 * the manager is only ever called on the default main context, which the caller's thread runs. See
 * vh_listen_unix for what is done about a socket already there, vh_peer_allowed for who is let in.
 * Ignores SIGPIPE in the process from now on. */
VhControl *vh_control_new(VhManager *manager, const char *socket_path,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Ends every connection and watch, and removes the socket. Calls in progress get no answer. */
void vh_control_free(VhControl *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhControl, vh_control_free)
