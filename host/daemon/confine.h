/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gives up what the daemon never needs, so that whoever takes it over does not have it either. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Forbids all threads, for ever, system calls that a daemon of this kind has no use for: running
 * programs, changing who it is, mounting, loading modules, tracing, other kinds of sockets than
 * UNIX, netlink and IP, and so on: they fail with EPERM. 0, or -1 and VH_ERROR_FAILED. A build
 * under sanitizers is left as it is: they need some of these. */
int vh_confine(bool bpf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
