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

static VhPortrait *portray_guest(const struct vh_entry *entry, unsigned vcpus, unsigned helpers,
                                 bool *holds)
{
    VhPortrait *portrait = vh_portrait_new(vcpus, helpers);

    *holds = vh_guest_portray(entry->guest, &portrait->guest);
    portrait->held = entry->held;
    portrait->problem = g_strdup(entry->problem);
    return portrait;
}

VhPortrait *vh_portray(const VhRound *round, const struct vh_entry *entry, bool *holds)
{
    const struct vh_cpuset *nodes = vh_entry_nodes(entry);
    unsigned vcpus = 0;
    unsigned helpers = 0;
    const struct vh_thread *threads = vh_guest_helpers(entry->guest, &helpers);
    GVariant *memory = vh_ram_describe(round->ram, vh_entry_name(entry));
    VhPortrait *portrait = NULL;

    vh_guest_vcpus(entry->guest, &vcpus);
    portrait = portray_guest(entry, vcpus, helpers, holds);
    portrait->nodes = nodes ? vh_cpuset_format(nodes) : NULL;
    portrait->memory = memory ? g_variant_ref_sink(memory) : NULL;
    for (unsigned i = 0; i < vcpus; i++)
        vh_portray_vcpu(round, entry, i, &portrait->threads[i]);
    for (unsigned i = 0; i < helpers; i++)
        vh_portray_helper(round, entry, &threads[i], &portrait->threads[vcpus + i]);
    /* What is left, and memory, changes by itself; who is in no plan is not compared with one. */
    *holds = *holds && !entry->left && !vh_ram_knows(round->ram, vh_entry_name(entry)) &&
             round->plan && entry->planned->len;
    return portrait;
}

VhPortrait *vh_round_portray(const VhRound *round, const struct vh_entry *entry)
{
    bool holds = false;

    return vh_portray(round, entry, &holds);
}

VhPortrait *vh_round_show_brief(const struct vh_entry *entry)
{
    bool holds = false;

    if (entry->portrait)
        return vh_portrait_ref(entry->portrait);
    return portray_guest(entry, 0, 0, &holds);
}
