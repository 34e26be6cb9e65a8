/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All guests' sockets in one epoll set on the main loop, so that a thousand quiet ones cost
 * nothing; who floods waits behind who does not.
 *
 * A member is charged the time that serving it takes, and what is charged is halved every
 * VH_TURN_HALF_LIFE. In each turn every ready member is served that has used little lately, and of
 * the others, the heavy ones, the one that has used least. So a guest that speaks seldom waits for
 * one other at most, however many flood; and a heavy one alone has the whole thread. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "io/alarms.h"

#define VH_TURN_HALF_LIFE 100000 /* us */
#define VH_TURN_HEAVY 25000 /* us charged and not yet faded: about a sixth of the thread's time */
#define VH_TURN_BUFFER 65536u

typedef struct VhTurn VhTurn;
typedef struct VhMember VhMember;

/* `events` are epoll's. The member may leave, and so may others. */
typedef void (*VhMemberFunc)(uint32_t events, gpointer data);
/* Called at the end of every turn, and once after vh_turn_soon. */
typedef void (*VhTurnEnd)(gpointer data);

/* NULL and a G_FILE_ERROR. */
VhTurn *vh_turn_new(GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Once all members have left and all alarms are stopped. NULL is fine. */
void vh_turn_free(VhTurn *turn);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhTurn, vh_turn_free)

/* There is one end at most; NULL for none. */
void vh_turn_set_end(VhTurn *turn, VhTurnEnd end, gpointer data);
/* Asks for an end at the microsecond `when` of the monotonic clock, or as soon as nothing is being
 * served; the earlier of several. */
void vh_turn_soon(VhTurn *turn, gint64 when);

/* VH_TURN_BUFFER bytes, 8-byte aligned, for whoever is being served: what is there means nothing
 * afterwards. */
uint8_t *vh_turn_buffer(VhTurn *turn);

/* For what is to happen later; the turn's. */
VhAlarms *vh_turn_alarms(VhTurn *turn);

/* `fd` stays the caller's. It must not be in the set already. */
VhMember *vh_turn_join(VhTurn *turn, int fd, uint32_t events, VhMemberFunc func, gpointer data);
void vh_member_want(VhMember *member, uint32_t events);
/* The function is not called any more. NULL is fine. Before `fd` is closed. */
void vh_member_leave(VhMember *member);

/* Charges the member for what it caused beside its own service. */
void vh_member_charge(VhMember *member, gint64 us);
bool vh_member_is_heavy(const VhMember *member);
