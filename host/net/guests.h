/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the kernel look like what guests are to have: slots loaded, in their arrays, and the
 * dispatcher attached where a slot wants packets.
 *
 * On the net thread. Whatever cannot be done is told in the guest's state, and the rest is done. */
#pragma once

#include "net/maps.h"
#include "net/slot.h"
#include "net/wish.h"

typedef struct VhNetGuests VhNetGuests;

/* `kinds` has VH_STAGES of them, NULL where there is none. All is borrowed. */
VhNetGuests *vh_net_guests_new(const VhNetMaps *maps, const char *pins,
                               const struct vh_slot_kind *const *kinds);
/* Leaves all as it is, for the next process; or takes it away. */
void vh_net_guests_free(VhNetGuests *guests, bool leave);

/* From now on the guest has what `wish` (taken over) says. */
void vh_net_guests_apply(VhNetGuests *guests, VhNetWish *wish);
/* It has nothing. Also for a number that a former process has left, which no wish has named. */
void vh_net_guests_remove(VhNetGuests *guests, guint32 number);
/* Links that a former process has pinned, and no guest has taken over, are detached. */
void vh_net_guests_tidy(const VhNetGuests *guests);
/* The state of what was applied last; NULL: there is no such guest. */
VhNetState *vh_net_guests_look(const VhNetGuests *guests, guint32 number);
