/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends the process, as kill -9 does, at any point that matters to who comes after it: before each
 * instruction that stores to a file that it has mapped shared, and before and after each call that
 * changes how a thread is scheduled. For a child process with one thread that does such things. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether this machine can do it. */
bool crash_is_possible(void);

/* From now on points are counted in `*points`, and the process ends at number `at` (from 1; 0: at
 * none). */
void crash_begin(uint32_t *points, uint32_t at);
