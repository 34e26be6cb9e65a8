/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's threads beside its vCPUs (guest.h), on their way from the plan to the actuator and to people.
 *
 * All of QEMU's own threads are the plan's one emulator. What is not placed is not touched, nor is its state
 * noted.
 */
#pragma once

#include "actuate.h"
#include "guest.h"
#include "survey.h"

/* Does `guest`'s policy give them a place? Others' dedicated pools may do so too. */
bool vh_helpers_placed(const VhGuest *guest);

/* How many IOThreads and vhost workers the plan is to place. */
void vh_helpers_count(const VhGuest *guest, unsigned *iothreads, unsigned *vhosts);

/* Wants for each what the plan has for it; nothing with `plan` NULL. `number` is the guest's in the plan. */
void vh_helpers_want(VhActuate *actuate, const VhGuest *guest, unsigned number, const struct vh_plan *plan);

/* GetGuest's "thread", of the plan that `survey` has just made. `held`: released by hand. */
GVariant *vh_helpers_describe(const VhActuate *actuate, const VhGuest *guest, unsigned number,
                              const VhSurvey *survey, const struct vh_plan *plan, bool held);
