/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's threads beside its vCPUs (guest/guest.h), on their way from the plan to the actuator
 * and to people.
 *
 * All of QEMU's own threads are the plan's one emulator. What is not placed is not touched, nor is
 * its state noted.
 */
#pragma once

#include "act/actuate.h"
#include "guest/guest.h"
#include "inventory/seat.h"
#include "round/entry.h"
#include "wish/survey.h"

/* One of them, as a target. */
struct vh_target vh_helpers_target(const VhGuest *guest, const struct vh_thread *thread);

/* What libvirt calls it; false: libvirt has no name for it. */
bool vh_helpers_seat(const struct vh_thread *thread, struct vh_seat *seat);

/* Adds each thread's number in the plan to `planned` (struct vh_planned). */
void vh_helpers_number(const VhGuest *guest, GArray *planned);

/* How many IOThreads and vhost workers the plan is to place. */
void vh_helpers_count(const VhGuest *guest, unsigned *iothreads, unsigned *vhosts);

/* Wants for each what the plan has for it; nothing with `plan` NULL, or where its seat's
 * vh_seat_key is in `off` (borrowed). `number` is the guest's in the plan. */
void vh_helpers_want(VhActuate *actuate, const VhGuest *guest, unsigned number,
                     const struct vh_plan *plan, GHashTable *off);

/* Takes over what a former daemon has left of theirs. */
void vh_helpers_take_over(VhActuate *actuate, const VhGuest *guest);

/* Tells the guest's maker what emulator and IOThreads are held to now. */
void vh_helpers_mirror(const VhActuate *actuate, const VhGuest *guest);
/* Somebody else has pinned the seat, an emulator or IOThread, and means it. Of the emulator that is
 * the process's first thread, which is what libvirt pins; the others are put back by the next
 * round. */
void vh_helpers_yield(VhActuate *actuate, const VhGuest *guest, struct vh_seat seat);
/* Does a control group bar any of them from where it was to be? */
bool vh_helpers_barred(const VhActuate *actuate, const VhGuest *guest);
