// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest's rules wish for, and when that is told: what changes is noted, and settled once the
// turn's work is done.
#include <string.h>

#include "guest/state.h"

void vh_guest_touch_facts(VhGuest *guest, const char *why)
{
    guest->dirty = why;
}

void vh_guest_touch(VhGuest *guest, const char *why)
{
    vh_guest_touch_facts(guest, why);
    guest->moved = true;
}

static gboolean on_timer(gpointer data)
{
    VhGuest *guest = data;

    guest->timer = 0;
    guest->deferred = 0;
    vh_guest_touch(guest, "it was due now");
    vh_guest_settle(guest);
    return G_SOURCE_REMOVE;
}

/* At the microsecond `when` of the monotonic clock, or never. */
static void set_timer(VhGuest *guest, gint64 when)
{
    gint64 wait = (when - g_get_monotonic_time() + 999) / 1000;

    g_clear_handle_id(&guest->timer, g_source_remove);
    if (when >= 0)
        guest->timer = g_timeout_add((guint)CLAMP(wait, 0, G_MAXINT), on_timer, guest);
}

bool vh_guest_renew(VhGuest *guest)
{
    guint count = guest->vcpus->len;
    bool known = guest->wishes->len == count;
    g_autofree struct vh_wish *former =
        g_memdup2(guest->wishes->data, guest->wishes->len * sizeof(*former));
    const struct vh_ram_wish ram = *vh_rules_ram(guest->rules);
    unsigned near_count = 0;
    const struct vh_near *near = vh_rules_nears(guest->rules, &near_count);
    g_autoptr(GBytes) nears = g_bytes_new(near, near_count * sizeof(*near));
    g_autoptr(GBytes) nears_now = NULL;
    struct vh_wish *wishes = NULL;
    gint64 next = 0;

    vh_guest_show(guest);
    g_array_set_size(guest->wishes, count);
    wishes = (struct vh_wish *)(void *)guest->wishes->data;
    next = vh_rules_wishes(guest->rules, guest->facts, &guest->map, g_get_monotonic_time(), wishes,
                           count);
    if (!guest->deferred)
        set_timer(guest, next);
    for (guint i = 0; known && i < count; i++)
        known = vh_wish_equal(&wishes[i], &former[i]);
    near = vh_rules_nears(guest->rules, &near_count);
    nears_now = g_bytes_new(near, near_count * sizeof(*near));
    return !known || !g_bytes_equal(nears, nears_now) ||
           !vh_ram_wish_equal(vh_rules_ram(guest->rules), &ram);
}

void vh_guest_settle(VhGuest *guest)
{
    const char *why = guest->dirty;
    gint64 now = why ? g_get_monotonic_time() : 0;
    gint64 wait = 0;

    vh_guest_check(guest);
    vh_guest_show(guest);
    if (!why || (guest->deferred && now < guest->deferred))
        return;
    wait = guest->batch ? vh_rules_admit(guest->rules, guest->batch, now) : 0;
    guest->batch = 0;
    if (wait) {
        vh_guest_complain(guest, "hints deferred", "more of them came than max-hints allows");
        guest->deferred = now + wait;
        set_timer(guest, guest->deferred);
        return;
    }
    guest->deferred = 0;
    guest->dirty = NULL;
    /* What is offloaded goes by facts that no rule is about. */
    if (!vh_guest_renew(guest) && !guest->moved && !(guest->policy && guest->policy->offload.kinds))
        return;
    guest->moved = false;
    guest->funcs->changed(guest, why, guest->data);
}

const struct vh_wish *vh_guest_wishes(const VhGuest *guest)
{
    g_assert(guest->wishes->len == guest->vcpus->len);
    return (const struct vh_wish *)(const void *)guest->wishes->data;
}

const struct vh_near *vh_guest_nears(const VhGuest *guest, unsigned *count)
{
    return vh_rules_nears(guest->rules, count);
}

const struct vh_ram_wish *vh_guest_ram_wish(const VhGuest *guest)
{
    return vh_rules_ram(guest->rules);
}
