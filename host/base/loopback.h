/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses that nobody outside this machine can reach. */
#pragma once

#include <gio/gio.h>

/* Reads "127.0.0.1:9477" or "[::1]:9477". NULL: it is no number and port, or not this machine's
 * alone; g_object_unref() it. */
GSocketAddress *vh_loopback_parse(const char *text);
