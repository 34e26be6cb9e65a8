/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* How tests turn the main loop, and wait for what it, a thread or a process does. A condition is
 * looked at after each turn, and every half a millisecond where there is nothing to do. */

#define LOOP_SECONDS 60.0 /* after which no condition is waited for any longer */

/* Does all that can be done without waiting. */
void loop_turn(void);
/* Turns it for so long, whatever happens. */
void loop_pass(double seconds);
/* Waits until `condition` holds: LOOP_UNTIL(f->closed); Fails after LOOP_SECONDS, and says which it
 * was. A block that follows is done each time that it does not hold yet. */
#define LOOP_UNTIL(condition) \
    for (gint64 loop_end = loop_after(LOOP_SECONDS); !(condition); \
         loop_must_wait(loop_end, __FILE__, __LINE__, G_STRFUNC, #condition))
/* The block that follows is done after each turn, for so long. */
#define LOOP_FOR(seconds) for (gint64 loop_end = loop_after(seconds); loop_wait(loop_end);)

/* A time, as g_get_monotonic_time() has it. */
gint64 loop_after(double seconds);
/* Turns the main loop once, or sleeps for half a millisecond. False: `end` has passed. */
bool loop_wait(gint64 end);
void loop_must_wait(gint64 end, const char *file, int line, const char *func,
                    const char *condition);
