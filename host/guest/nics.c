// SPDX-License-Identifier: GPL-2.0-or-later
// Learns from a guest's monitor which taps serve its network interfaces, where policy lets it have
// offloads.
#include <string.h>

#include "base/json.h"
#include "guest/state.h"
#include "qemu/nics.h"

#define AGAIN_US ((gint64)10 * G_USEC_PER_SEC) /* QEMU does not tell of interfaces that are new */

static void on_network(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    const char *text = vh_json_text(result);
    const struct vh_thread_id process =
        guest->monitor_ready ? vh_qmp_peer(guest->monitor) : (struct vh_thread_id){0};
    g_autoptr(GArray) former = g_steal_pointer(&guest->nics);

    (void)error;
    guest->nics = vh_nics_read(guest->monitor_ready && text ? text : "", "/proc", &process,
                               &guest->nic_problem);
    guest->nics_asked = g_get_monotonic_time();
    if (former->len == guest->nics->len &&
        memcmp(former->data, guest->nics->data, former->len * sizeof(struct vh_nic)) == 0)
        return;
    vh_guest_touch(guest, "the guest's network interfaces have changed");
    vh_guest_settle(guest);
}

void vh_guest_query_nics(VhGuest *guest)
{
    JsonObject *arguments = NULL;

    if (!guest->policy || !guest->policy->offload.kinds)
        return;
    arguments = json_object_new();
    json_object_set_string_member(arguments, "command-line", "info network");
    vh_qmp_command(guest->monitor, "human-monitor-command", arguments, on_network, guest);
}

void vh_guest_look_at_nics(VhGuest *guest)
{
    if (guest->monitor_ready && g_get_monotonic_time() >= guest->nics_asked + AGAIN_US) {
        guest->nics_asked = g_get_monotonic_time();
        vh_guest_query_nics(guest);
    }
}

const struct vh_nic *vh_guest_nics(const VhGuest *guest, unsigned *count, const char **problem)
{
    *count = guest->nics->len;
    *problem = guest->nic_problem;
    return (const struct vh_nic *)(const void *)guest->nics->data;
}

const VhFacts *vh_guest_facts(const VhGuest *guest)
{
    return guest->facts;
}
