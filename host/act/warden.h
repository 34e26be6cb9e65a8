/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process of its own that keeps boosts from outgrowing vhintd.
 *
 * Real-time threads go before vhintd itself, so who ends them in time must go before them: the
 * warden is real-time, of a higher priority. While there are real-time boosts it makes vhintd's own
 * thread real-time, too, between itself and them, for no more than a tenth of the time. It looks
 * only at the slots of boosts in the file of former states (saved.h), which it shares with vhintd:
 * a real-time boost is paused while its budget is spent, and when vhintd is gone, however that came
 * about, it puts every boost back. Pins stay, for a successor to take over; if none has come in
 * time, another process puts them back, too. It sleeps while there is no real-time boost and vhintd
 * is in no hurry.
 *
 * vhintd and the warden change threads at the same time. 1. vhintd marks a slot ENDING before it
 * puts a thread's former state back. 2. The warden, after it made a thread real-time again, looks
 * at the slot once more, and takes that back when it finds it ENDING, freed or another's. So of the
 * two the last one leaves the thread unboosted.
 */
#pragma once

#include "act/saved.h"
#include "decide/boost.h"

typedef struct VhWarden VhWarden;

/* Forks it, from the main thread, whose end it waits for. Pins are put back by "vhintd --restore
 * PATH", `seconds` after that end; `path` NULL: by nobody. NULL and VH_ERROR_FAILED. `saved` is
 * borrowed. */
VhWarden *vh_warden_new(VhSaved *saved, const char *path, guint seconds,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Ends it; it does nothing any more. `leave`: it goes on as if vhintd had died. */
void vh_warden_free(VhWarden *warden, bool leave);

/* For so many ms vhintd's own thread is to go before others, as it does beside real-time boosts: it
 * must act within milliseconds. */
void vh_warden_hurry(VhSaved *saved, guint ms);
/* From now on these limits hold. */
void vh_warden_limit(VhSaved *saved, const struct vh_budget_limits *limits);
