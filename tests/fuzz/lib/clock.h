/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time as a script says: in GLib's place for all that is linked with a target. */
#pragma once

#include <glib.h>

/* From now on it is a while after the machine's start. There are no timers. */
void clock_begin(void);
/* So much time passes, and all timers that become due are called. */
void clock_pass(gint64 us);
/* No timer was left behind. */
void clock_end(void);
