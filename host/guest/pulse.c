// SPDX-License-Identifier: GPL-2.0-or-later
// Notices an injector that is connected and says nothing any longer.
//
// A guest that hints, or answers, lives. Only of one that does neither a sign of life is asked:
// soon while it owes an answer, else so seldom that an idle guest is hardly woken. One that does
// not give it is a problem in its status, until the next frame of its comes. A guest whose vCPUs
// stand still cannot answer, and that is told elsewhere.
#include "guest/state.h"

#define OWING_S 2    /* between two looks at a guest that owes an answer, or a sign of life */
#define QUIET_S 60   /* and at any other */
#define SILENT_S 10u /* without the sign that was asked for: a problem */

static void arm(VhGuest *guest);

/* Since when a sign of life is owed, us; 0: none is. */
static gint64 owed_since(const VhGuest *guest)
{
    bool owed = guest->session && vh_session_is_up(guest->session) && !guest->still &&
                guest->pinged && vh_session_heard(guest->session) < guest->pinged;

    return owed ? guest->pinged : 0;
}

bool vh_guest_is_awaited(const VhGuest *guest)
{
    return owed_since(guest) != 0;
}

unsigned vh_guest_silence(const VhGuest *guest)
{
    gint64 since = owed_since(guest);
    gint64 silent = since ? (g_get_monotonic_time() - since) / G_USEC_PER_SEC : 0;

    return silent >= SILENT_S ? (unsigned)silent : 0;
}

static void look(VhGuest *guest)
{
    gint64 now = g_get_monotonic_time();
    bool told = guest->silent;
    bool given = guest->pinged && !owed_since(guest);

    guest->silent = vh_guest_silence(guest) > 0;
    if (guest->silent && !told)
        vh_guest_complain(guest, "silence", "the injector is connected, but does not answer");
    if (owed_since(guest))
        return;
    guest->pinged = 0;
    if (guest->still || now - vh_session_heard(guest->session) < OWING_S * G_USEC_PER_SEC)
        return;
    /* It is quiet, and lives: the next look is a long while off. */
    if (given && !vh_session_waits(guest->session))
        return;
    /* Without room for it the guest has not read for a while, which is as telling. */
    guest->pinged = now;
    vh_guest_show(guest);
    (void)vh_session_ping(guest->session);
}

static void on_pulse(gpointer data)
{
    VhGuest *guest = data;

    if (!guest->session || !vh_session_is_up(guest->session))
        return;
    look(guest);
    arm(guest);
}

static void arm(VhGuest *guest)
{
    bool owing = guest->pinged || vh_session_waits(guest->session);
    gint64 when = g_get_monotonic_time() + (owing ? OWING_S : QUIET_S) * G_USEC_PER_SEC;

    guest->pulse_owing = owing;
    guest->pulse.func = on_pulse;
    guest->pulse.data = guest;
    /* With all others of that second, so that the host is woken once. */
    vh_alarms_set(vh_turn_alarms(guest->turn), &guest->pulse,
                  (when / G_USEC_PER_SEC + 1) * G_USEC_PER_SEC);
}

void vh_guest_begin_pulse(VhGuest *guest)
{
    guest->pinged = 0;
    guest->silent = false;
    arm(guest);
}

void vh_guest_end_pulse(VhGuest *guest)
{
    vh_alarms_stop(vh_turn_alarms(guest->turn), &guest->pulse);
    guest->pinged = 0;
    guest->silent = false;
}

void vh_guest_on_asked(gpointer data)
{
    VhGuest *guest = data;

    vh_guest_show(guest); /* too much may be owed */
    if (guest->pulse.position && !guest->pulse_owing)
        arm(guest);
}
