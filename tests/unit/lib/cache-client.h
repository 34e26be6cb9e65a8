/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client of memcached's, over UDP or TCP, for one thread. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct CacheClient CacheClient;

/* In the network namespace of the thread. */
CacheClient *cache_client_new(const char *address, guint16 port, bool tcp);
void cache_client_free(CacheClient *client);
/* Sends a command. What comes back, whole, until the next call; NULL: nothing in time. A connection
 * that has broken is made anew. `cut` (0: none): what comes after so many bytes is sent apart. */
const char *cache_client_ask(CacheClient *client, const char *command, gsize cut);
/* The same for one that has no answer. */
void cache_client_tell(CacheClient *client, const char *command);
