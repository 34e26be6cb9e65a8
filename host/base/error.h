/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The errors of the host side that a user can act upon, and their names on the control interface.
 */
#pragma once

#include <glib.h>

#define VH_ERROR vh_error_quark()

enum vh_error_code {
    VH_ERROR_NO_SUCH_GUEST,
    VH_ERROR_NO_SUCH_PROGRAM,
    VH_ERROR_NOT_CONNECTED,
    VH_ERROR_EXISTS,
    VH_ERROR_INVALID_OBJECT,
    VH_ERROR_REFUSED,
    VH_ERROR_INVALID_ARGUMENT,
    VH_ERROR_BUSY,
    VH_ERROR_TIMED_OUT,
    VH_ERROR_FAILED, /* the host itself failed: disk, memory; org.vhint.Error.Failed */
    VH_ERROR_COUNT
};

/* The domain; registered with GDBus, so that a VH_ERROR crosses the control socket as its
 * org.vhint.Error.NAME and comes back as a VH_ERROR on a side that has called this too. */
GQuark vh_error_quark(void);

/* Sets VH_ERROR_INVALID_ARGUMENT with this message, and returns -1. */
int vh_invalid(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
