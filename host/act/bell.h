/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What actuators and the warden tell each other, through the file of former states that vhintd and
 * the warden share. */
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "act/saved.h"

/* A bell is a counter, and a futex. */
static inline void vh_bell_ring_at(uint32_t *bell)
{
    __atomic_fetch_add(bell, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* There is something for the warden to look at: a boost, a limit, a successor. Safe in a signal's
 * handler. */
void vh_bell_ring(VhSaved *saved);
/* How often it has rung so far; wraps around. */
uint32_t vh_bell_count(VhSaved *saved);
/* Waits until the bell has rung since it was `heard`, a signal came, or it is `until`
 * (g_get_monotonic_time; -1: never). */
void vh_bell_wait(VhSaved *saved, uint32_t heard, gint64 until);
/* Is the warden there, and does it go before those that it watches? */
bool vh_bell_is_warded(VhSaved *saved);
