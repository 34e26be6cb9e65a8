/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Works out how a guest's threads stand (round/portrait.h): from the last run's plan and wishes,
 * and from what the actuator has in force now. Asking only reads. For the files of this folder. */
#pragma once

#include "qemu/threads.h"
#include "round/portrait.h"
#include "round/state.h"

/* The guest's vCPU at this position. vh_standing_clear() it. */
void vh_standing_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                      VhStanding *standing);
/* A thread beside its vCPUs. */
void vh_standing_helper(const VhRound *round, const struct vh_entry *entry,
                        const struct vh_thread *thread, VhStanding *standing);

/* ---- portray.c ---- */

/* vh_round_portray; `*holds`: until whatever it shows is told of, or planned otherwise. */
VhPortrait *vh_portray(const VhRound *round, const struct vh_entry *entry, bool *holds);

/* The guest's vCPU at this position, or the thread beside them, as a portrait has it;
 * vh_standing_clear() its standing. */
void vh_portray_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                     struct vh_portrait_thread *portrait);
void vh_portray_helper(const VhRound *round, const struct vh_entry *entry,
                       const struct vh_thread *thread, struct vh_portrait_thread *portrait);
