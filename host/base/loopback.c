// SPDX-License-Identifier: GPL-2.0-or-later
// Reads addresses that nobody outside this machine can reach.
#include "base/loopback.h"

#include <string.h>

GSocketAddress *vh_loopback_parse(const char *text)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;
    gsize len = host ? strlen(host) : 0;
    guint64 port = 0;
    g_autoptr(GInetAddress) address = NULL;

    if (!host || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
        return NULL;
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = 0;
        memmove(host, host + 1, len - 1);
    } else if (strchr(host, ':')) {
        return NULL;
    }
    address = g_inet_address_new_from_string(host);
    if (!address || !g_inet_address_get_is_loopback(address))
        return NULL;
    return g_inet_socket_address_new(address, (guint16)port);
}
