// SPDX-License-Identifier: GPL-2.0-or-later
// Begins a guest's sessions, no more of them in a second than anybody needs.
//
// Each session makes vhintd forget what it knew, undo what followed from that, and send its
// programs anew. A guest may claim new ones as fast as it can. One that comes too soon is not
// begun; once it may, vhintd asks again who is there.
#include "guest/state.h"

void vh_guest_greet(VhGuest *guest)
{
    if (guest->session && !vh_session_is_up(guest->session))
        vh_session_hello(guest->session);
}

static gboolean on_timer(gpointer data)
{
    VhGuest *guest = data;

    guest->beginnings.timer = 0;
    vh_guest_greet(guest);
    return G_SOURCE_REMOVE;
}

/* What has been used comes back, one a second. */
static void recover(struct vh_beginnings *beginnings, gint64 now)
{
    gint64 back = beginnings->used ? (now - beginnings->since) / G_USEC_PER_SEC : 0;

    if (back < beginnings->used) {
        beginnings->used -= (unsigned)back;
        beginnings->since += back * G_USEC_PER_SEC;
    } else {
        beginnings->used = 0;
        beginnings->held = false;
    }
}

static void hold_up(VhGuest *guest, gint64 now)
{
    struct vh_beginnings *beginnings = &guest->beginnings;
    gint64 left = beginnings->since + G_USEC_PER_SEC - now;
    g_autofree char *why = g_strdup_printf(
        "the injector has begun %d sessions in a row, and may begin one a second now: what does it "
        "say in the guest?",
        VH_GUEST_SESSIONS);

    vh_guest_set_problem(guest, why);
    if (!beginnings->held)
        vh_guest_complain(guest, "sessions", why);
    beginnings->held = true;
    if (!beginnings->timer)
        beginnings->timer = g_timeout_add((guint)(left / 1000) + 1, on_timer, guest);
}

bool vh_guest_may_begin(gpointer data)
{
    VhGuest *guest = data;
    struct vh_beginnings *beginnings = &guest->beginnings;
    gint64 now = g_get_monotonic_time();

    recover(beginnings, now);
    if (beginnings->used == VH_GUEST_SESSIONS) {
        hold_up(guest, now);
        return false;
    }
    if (!beginnings->used++)
        beginnings->since = now;
    return true;
}
