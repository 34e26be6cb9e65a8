/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The warden's wards: the threads that are real-time by a boost, their budgets, and what is done
 * about those.
 *
 * A look costs one or two system calls for each thread that may have run, and nothing beside that:
 * which slots are boosts is found out again only when the bell has rung. */
#pragma once

#include "act/saved.h"
#include "decide/boost.h"

typedef struct VhWards VhWards;

/* `saved` is borrowed; `owner` is vhintd. */
VhWards *vh_wards_new(VhSaved *saved, pid_t owner);
/* Finds those that are there now: the bell has rung. */
void vh_wards_gather(VhWards *wards);
/* Looks at them all: pauses those whose budgets are spent, and lets the others go on. Returns when
 * to look again (g_get_monotonic_time); -1: when the bell rings. */
gint64 vh_wards_tend(VhWards *wards);
