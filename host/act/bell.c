// SPDX-License-Identifier: GPL-2.0-or-later
// Wakes the warden: a counter that is a futex.
#include "act/bell.h"

#include <time.h>

static uint32_t *bell_of(VhSaved *saved)
{
    return &vh_saved_shared(saved)->bell;
}

void vh_bell_ring(VhSaved *saved)
{
    vh_bell_ring_at(bell_of(saved));
}

uint32_t vh_bell_count(VhSaved *saved)
{
    return __atomic_load_n(bell_of(saved), __ATOMIC_SEQ_CST);
}

void vh_bell_wait(VhSaved *saved, uint32_t heard, gint64 until)
{
    gint64 left = until < 0 ? 0 : MAX(until - g_get_monotonic_time(), 0);
    struct timespec timeout = {left / G_USEC_PER_SEC, left % G_USEC_PER_SEC * 1000};

    syscall(SYS_futex, bell_of(saved), FUTEX_WAIT, heard, until < 0 ? NULL : &timeout, NULL, 0);
}

bool vh_bell_is_warded(VhSaved *saved)
{
    return __atomic_load_n(&vh_saved_shared(saved)->warded, __ATOMIC_ACQUIRE);
}
