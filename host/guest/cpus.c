// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's CPUs: what its injector says of them, joined with the vCPUs that its monitor tells.
#include "guest/state.h"

void vh_guest_join_cpus(VhGuest *guest)
{
    vh_guest_show(guest);
    vh_cpu_map_join(&guest->map, guest->cpus, guest->cpu_count,
                    (const struct vh_vcpu *)(void *)guest->vcpus->data, guest->vcpus->len);
}

void vh_guest_take_vcpus(VhGuest *guest, GArray *vcpus, const char *why)
{
    if (guest->vcpus != vcpus)
        g_array_unref(guest->vcpus);
    guest->vcpus = vcpus;
    vh_guest_join_cpus(guest);
    vh_guest_renew(guest);
    vh_guest_touch(guest, why);
    vh_guest_settle(guest);
}

const struct vh_vcpu *vh_guest_vcpus(const VhGuest *guest, unsigned *count)
{
    *count = guest->vcpus->len;
    return (const struct vh_vcpu *)(void *)guest->vcpus->data;
}

const struct vh_cpu_map *vh_guest_cpus(const VhGuest *guest)
{
    return &guest->map;
}
