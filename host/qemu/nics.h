/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's network interfaces, as QEMU and the kernel tell.
 *
 * QEMU's monitor says which interface has which MAC, and which descriptor or tap serves it ("info
 * network": no QMP command tells that). What tap a descriptor is of, the kernel says, in
 * /proc/QEMU/fdinfo: reading that takes CAP_SYS_PTRACE for processes of other users. */
#pragma once

#include <glib.h>

#include "base/nic.h"
#include "base/thread-id.h"

/* Of the text that "info network" prints: struct vh_nic each, VH_NICS_MAX at most, one for each
 * interface that a tap serves. `process` is QEMU's, `proc` is /proc but for tests. `*problem` is
 * why one is left out, static; NULL: none is. */
GArray *vh_nics_read(const char *text, const char *proc, const struct vh_thread_id *process,
                     const char **problem);
