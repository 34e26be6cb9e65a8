/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Turning the main loop, and waiting. */
#include "lib/loop.h"

#define SLEEP_US 500

void loop_turn(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

gint64 loop_after(double seconds)
{
    return g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
}

bool loop_wait(gint64 end)
{
    if (g_get_monotonic_time() >= end)
        return false;
    if (!g_main_context_iteration(NULL, FALSE))
        g_usleep(SLEEP_US);
    return true;
}

void loop_must_wait(gint64 end, const char *file, int line, const char *func, const char *condition)
{
    g_autofree char *message = NULL;

    if (loop_wait(end))
        return;
    message = g_strdup_printf("not within %g s: %s", LOOP_SECONDS, condition);
    g_assertion_message(G_LOG_DOMAIN, file, line, func, message);
}

void loop_pass(double seconds)
{
    LOOP_FOR(seconds);
}
