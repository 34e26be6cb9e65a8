// SPDX-License-Identifier: GPL-2.0-or-later
// Copies what is shown of a guest: round/portrait.h tells why.
#include <string.h>

#include "round/standing.h"

void vh_portray_vcpu(const VhRound *round, const struct vh_entry *entry, unsigned position,
                     struct vh_portrait_thread *portrait)
{
    unsigned count = 0;
    const struct vh_vcpu *vcpu = &vh_guest_vcpus(entry->guest, &count)[position];

    vh_standing_vcpu(round, entry, position, &portrait->standing);
    portrait->vcpu.index = vcpu->index;
    portrait->vcpu.guest_cpu = vh_cpu_map_find(vh_guest_cpus(entry->guest), position);
    portrait->vcpu.apic_id = (int)vcpu->apic_id;
}

void vh_portray_helper(const VhRound *round, const struct vh_entry *entry,
                       const struct vh_thread *thread, struct vh_portrait_thread *portrait)
{
    vh_standing_helper(round, entry, thread, &portrait->standing);
    portrait->helper.role = vh_thread_kind_text(thread->kind);
    memcpy(portrait->helper.name, thread->name, sizeof(portrait->helper.name));
}

static VhPortrait *portray_guest(const struct vh_entry *entry, unsigned vcpus, unsigned helpers)
{
    VhPortrait *portrait = vh_portrait_new(vcpus, helpers);

    vh_guest_portray(entry->guest, &portrait->guest);
    portrait->held = entry->held;
    portrait->problem = g_strdup(entry->problem);
    return portrait;
}

VhPortrait *vh_round_portray(const VhRound *round, const struct vh_entry *entry)
{
    const struct vh_cpuset *nodes = vh_entry_nodes(entry);
    unsigned vcpus = 0;
    unsigned helpers = 0;
    const struct vh_thread *threads = vh_guest_helpers(entry->guest, &helpers);
    GVariant *memory = vh_ram_describe(round->ram, vh_entry_name(entry));
    VhPortrait *portrait = NULL;

    vh_guest_vcpus(entry->guest, &vcpus);
    portrait = portray_guest(entry, vcpus, helpers);
    portrait->nodes = nodes ? vh_cpuset_format(nodes) : NULL;
    portrait->memory = memory ? g_variant_ref_sink(memory) : NULL;
    for (unsigned i = 0; i < vcpus; i++)
        vh_portray_vcpu(round, entry, i, &portrait->threads[i]);
    for (unsigned i = 0; i < helpers; i++)
        vh_portray_helper(round, entry, &threads[i], &portrait->threads[vcpus + i]);
    return portrait;
}

VhPortrait *vh_round_portray_brief(const struct vh_entry *entry)
{
    return portray_guest(entry, 0, 0);
}
