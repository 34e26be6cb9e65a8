/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The slots of one guest: loads them, puts them in the dispatcher's arrays, and counts what they
 * did.
 *
 * On the net thread. */
#pragma once

#include "net/maps.h"
#include "net/slot.h"
#include "net/wish.h"

typedef struct VhStages VhStages;

/* `maps` and `kinds` are borrowed. The accounts of guest `number` begin at 0, unless it goes on
 * with what a former process has left. */
VhStages *vh_stages_new(const VhNetMaps *maps, const struct vh_slot_kind *const *kinds,
                        guint32 number, bool goes_on);
/* Leaves the arrays as they are, for the next process; or empties them. */
void vh_stages_free(VhStages *stages, bool leave);

/* What a slot was loaded for stays loaded; what is wanted otherwise is loaded anew, and takes the
 * place of the former at once. What cannot be loaded leaves nothing behind. */
void vh_stages_apply(VhStages *stages, const VhNetWish *wish);
/* Does any slot want packets there? */
bool vh_stages_need(const VhStages *stages, enum vh_hook hook);
void vh_stages_describe(const VhStages *stages, VhNetState *state);
/* Empties the arrays of a guest that has no stages here. */
void vh_stages_empty(const VhNetMaps *maps, guint32 number);
