/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers by the thousand on the default main loop: all of them are one source, since the loop looks
 * at each source whenever it wakes up, for whatever reason.
 *
 * Those that are due together ring one after another, for VH_ALARMS_TURN_US at a time; then others
 * are served first. */
#pragma once

#include <glib.h>

#define VH_ALARMS_TURN_US 500

typedef struct VhAlarms VhAlarms;

/* Rings once for each time that it is set. It may set and stop any alarm, and free its own. */
typedef void (*VhAlarmFunc)(gpointer data);

/* All zeros but for the first two members, to begin with. */
struct vh_alarm {
    VhAlarmFunc func;
    gpointer data;
    gint64 when;    /* us of the monotonic clock; of meaning while it is set */
    guint position; /* among those that are set, from 1; 0: it is not */
};

VhAlarms *vh_alarms_new(void);
/* Once all are stopped. NULL is fine. */
void vh_alarms_free(VhAlarms *alarms);

/* Instead of when it was to ring before, if it is set. `alarm` stays where it is until it rings or
 * is stopped. */
void vh_alarms_set(VhAlarms *alarms, struct vh_alarm *alarm, gint64 when);
/* One that is not set is fine. */
void vh_alarms_stop(VhAlarms *alarms, struct vh_alarm *alarm);
