// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of a guest, for people: why it does not work, and what it did wrong.
#include "guest/state.h"

#include "base/assert.h"

static bool map_fits(const VhGuest *guest)
{
    for (uint32_t cpu = 0; cpu < VH_CPUS_MAX; cpu++)
        if (cpu < guest->map.count && guest->map.cpus[cpu].vcpu >= (int)guest->vcpus->len)
            return false;
    return true;
}

void vh_guest_check(const VhGuest *guest)
{
    g_assert(!guest->leaving);
    g_assert(!guest->port == !guest->session);
    g_assert(!guest->monitor_ready || guest->monitor);
    g_assert(guest->monitor_ready || guest->preview || !guest->vcpus->len);
    g_assert(guest->process.thread || !guest->helpers->len);
    g_assert(!guest->away || !guest->vcpus->len);
    VH_ASSERT_DEEP(map_fits(guest));
}

void vh_guest_show(VhGuest *guest)
{
    if (!guest->leaving && guest->funcs->shown)
        guest->funcs->shown(guest, guest->data);
}

void vh_guest_tell(VhGuest *guest, const char *what, const char *why, const char *after)
{
    vh_journal_talk(guest->journal, &guest->limit, guest->config->name, what, why, NULL, after);
}

void vh_guest_complain(VhGuest *guest, const char *what, const char *why)
{
    vh_guest_tell(guest, what, why, NULL);
}

void vh_guest_set_problem(VhGuest *guest, const char *text)
{
    g_free(guest->problem);
    guest->problem = g_strdup(text);
    vh_guest_show(guest);
}

void vh_guest_set_monitor_problem(VhGuest *guest, const char *text)
{
    g_free(guest->monitor_problem);
    guest->monitor_problem = g_strdup(text);
    vh_guest_show(guest);
}

void vh_guest_set_vcpu_problem(VhGuest *guest, const char *text)
{
    g_free(guest->vcpu_problem);
    guest->vcpu_problem = g_strdup(text);
    vh_guest_show(guest);
}

bool vh_guest_is_connected(const VhGuest *guest)
{
    return guest->session && vh_session_is_up(guest->session);
}
