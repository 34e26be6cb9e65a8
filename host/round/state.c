// SPDX-License-Identifier: GPL-2.0-or-later
// What every part of a round asks about the pins.
#include "round/state.h"

#include "round/helpers.h"

const char *vh_round_off(const struct vh_entry *entry, const struct vh_vcpu *vcpu)
{
    return vh_entry_off(entry, (struct vh_seat){VH_SEAT_VCPU, vcpu->index});
}

const struct vh_cpuset *vh_round_pin(const VhRound *round, const struct vh_target_key *key)
{
    const union vh_setting *setting = vh_actuate_setting(round->actuate, key);

    return setting ? &setting->cpus : NULL;
}

void vh_round_yield(VhRound *round, const struct vh_entry *entry, struct vh_seat seat)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpus = vh_guest_vcpus(entry->guest, &count);

    if (seat.kind != VH_SEAT_VCPU)
        vh_helpers_yield(round->actuate, entry->guest, seat);
    for (unsigned i = 0; seat.kind == VH_SEAT_VCPU && i < count; i++) {
        const struct vh_target target = vh_entry_vcpu(entry, &vcpus[i]);

        if (vcpus[i].index == seat.id)
            vh_actuate_yield(round->actuate, &target);
    }
}
