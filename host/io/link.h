/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds a UNIX stream socket, whenever it is there: connects, and once the connection is lost
 * connects again.
 *
 * No timer runs while the socket's file is absent or the connection stands. A file that refuses
 * (nobody listens yet, or no more) is tried again with a growing delay, VH_LINK_TRIES times, then
 * only when the file is made anew. A server whose queue is full (it serves someone else) is tried
 * again every VH_LINK_DELAY_MAX ms, as is any while we are out of descriptors, and one that keeps
 * hanging up soon is left alone for growing delays. */
#pragma once

#include "io/pathwatch.h"

#define VH_LINK_DELAY_MIN 10u /* ms */
#define VH_LINK_DELAY_MAX 2000u
#define VH_LINK_TRIES 12u

typedef struct VhLink VhLink;

/* `fd` (non-blocking) is the callee's from now on. */
typedef void (*VhLinkFunc)(int fd, gpointer data);

/* `path` shorter than a sockaddr_un's (checked by config/vhintd.c). Calls nothing before
 * vh_link_seek. */
VhLink *vh_link_new(VhPathWatch *watch, const char *path, VhLinkFunc connected, gpointer data);
void vh_link_free(VhLink *link);

/* Looks for the socket from now on, until it has connected once; may call `connected` at once. */
void vh_link_seek(VhLink *link);

/* Why there is no connection, "" when there is one. Borrowed. */
const char *vh_link_problem(const VhLink *link);

/* Connects just once: a non-blocking socket, or -errno. */
int vh_link_open(const char *path);
/* In words; g_free() it. */
char *vh_link_text(const char *path, int number);
