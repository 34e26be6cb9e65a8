/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the warden keeps of what it may do. It goes before everybody on the host, and stays alive
 * when vhintd is gone: so it can do what it is there for, and no more. */
#pragma once

#include <glib.h>

/* From here on, for good: of all capabilities only CAP_SYS_NICE is left, and of all system calls
 * those that read and write files, set priorities, wait and end. Files are not made, nothing is
 * executed, no process is begun, there are no sockets. What is not allowed fails with EPERM.
 * 0, or -1 and VH_ERROR_FAILED. Under sanitizers, which need more calls, these are not limited. */
int vh_cell_enter(GError **error) G_GNUC_WARN_UNUSED_RESULT;
