// SPDX-License-Identifier: GPL-2.0-or-later
// Names the host side's errors on D-Bus.
#include "base/error.h"

#include <gio/gio.h>

static const GDBusErrorEntry entries[] = {
    {VH_ERROR_NO_SUCH_GUEST, "org.vhint.Error.NoSuchGuest"},
    {VH_ERROR_NO_SUCH_PROGRAM, "org.vhint.Error.NoSuchProgram"},
    {VH_ERROR_NOT_CONNECTED, "org.vhint.Error.NotConnected"},
    {VH_ERROR_EXISTS, "org.vhint.Error.Exists"},
    {VH_ERROR_INVALID_OBJECT, "org.vhint.Error.InvalidObject"},
    {VH_ERROR_REFUSED, "org.vhint.Error.Refused"},
    {VH_ERROR_INVALID_ARGUMENT, "org.vhint.Error.InvalidArgument"},
    {VH_ERROR_BUSY, "org.vhint.Error.Busy"},
    {VH_ERROR_TIMED_OUT, "org.vhint.Error.TimedOut"},
    {VH_ERROR_FAILED, "org.vhint.Error.Failed"},
};
G_STATIC_ASSERT(G_N_ELEMENTS(entries) == VH_ERROR_COUNT);

GQuark vh_error_quark(void)
{
    static gsize quark;

    g_dbus_error_register_error_domain("vhint-error", &quark, entries, G_N_ELEMENTS(entries));
    return (GQuark)quark;
}

int vh_invalid(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, text);
    return -1;
}
