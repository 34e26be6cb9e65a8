/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the calls of vhint-libvirt-hook, on the main loop.
 *
 * Reads nothing but format.h's header and lengths; the XML is handed on unread. Only root and the
 * daemon's own user are heard. At most VH_HOOK_CALLS_MAX calls are read side by side (further ones
 * wait in the socket's queue), each may take VH_HOOK_CALL_TIMEOUT_MS, and each turn of the loop
 * reads at most VH_HOOK_TURN bytes of one. A call that breaks the rules or stays unfinished is
 * dropped with a warning: libvirt's own events tell the same a little later. */
#pragma once

#include <glib.h>

#include "hook/format.h"

#define VH_HOOK_CALLS_MAX 64u
#define VH_HOOK_CALL_TIMEOUT_MS 1000u
#define VH_HOOK_TURN 65536u

struct vh_hook_call {
    const char *guest;     /* the domain's name */
    const char *operation; /* "prepare", "start", "started", "stopped", "release", "reconnect",
                              "migrate", ... */
    GBytes *xml;           /* not validated in any way; empty when `flags` says why */
    uint32_t flags;        /* VH_HOOK_XML_* */
};

/* All of `call` is borrowed; its texts are valid UTF-8. */
typedef void (*VhHookFunc)(const struct vh_hook_call *call, gpointer data);

typedef struct VhHookPort VhHookPort;

/* Listens at `path` with mode 0600, as vh_listen_unix does. NULL and a G_IO_ERROR. */
VhHookPort *vh_hook_port_new(const char *path, VhHookFunc func, gpointer data,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_hook_port_free(VhHookPort *port);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhHookPort, vh_hook_port_free)
