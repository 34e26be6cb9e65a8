/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host that is a table: actuators that change nothing but it, and a topology that is made up.
 *
 * The actuators keep act/actuator.h's contract, with real slots in a real file of former states, so
 * that one daemon after another can be played. Threads need not exist. */
#pragma once

#include "round/round.h"

/* Eight CPUs in two NUMA nodes, and the actuators below. */
extern const struct vh_round_host fake_host;

/* A new host, on which nothing has been changed; and its end. */
void fake_host_begin(void);
void fake_host_end(void);

/* What the host has for the thread by an actuator's doing: a list of CPUs, a kind of boost; "":
 * nothing has been changed. Borrowed. */
const char *fake_host_pin(pid_t thread);
const char *fake_host_boost(pid_t thread);
/* How often anything was applied, and put back, by an actuator or from a slot. */
unsigned fake_host_applied(void);
unsigned fake_host_reverted(void);

/* From now on pins of the thread, or boosts, fail with that. `message` NULL: they succeed. */
void fake_host_refuse_pin(pid_t thread, int code, const char *message);
void fake_host_refuse_boost(pid_t thread, int code, const char *message);
/* Somebody else has changed what the thread was pinned to. */
void fake_host_disturb(pid_t thread);
/* The CPU goes offline: pins to it fail, and the next look at the topology does not find it. Only
 * the last one that went is. */
void fake_host_offline(unsigned cpu);
