// SPDX-License-Identifier: GPL-2.0-or-later
// Renders how a guest's threads stand, in the words of org.vhint.Manager1.xml: GetGuest's part.
#include "round/standing.h"

/* What vCPUs and other threads have in common. */
static void insert_standing(GVariantDict *dict, const struct vh_standing *standing)
{
    g_autofree char *cpus = vh_standing_cpus(standing);

    g_variant_dict_insert(dict, "thread", "i", (gint32)standing->thread);
    g_variant_dict_insert(dict, "host_cpus", "s", cpus);
    g_variant_dict_insert(dict, "former", "s", standing->former);
    g_variant_dict_insert(dict, "state", "s", vh_standing_names[standing->state]);
    g_variant_dict_insert(dict, "reason", "s",
                          *standing->problem ? standing->problem : standing->why);
}

static GVariant *describe_vcpu(const VhRound *round, const struct vh_entry *entry,
                               unsigned position, const struct vh_vcpu *vcpu)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_auto(VhStanding) standing = {0};

    vh_standing_vcpu(round, entry, position, &standing);
    g_variant_dict_insert(&dict, "index", "u", vcpu->index);
    g_variant_dict_insert(&dict, "guest_cpu", "i",
                          vh_cpu_map_find(vh_guest_cpus(entry->guest), position));
    g_variant_dict_insert(&dict, "apic_id", "i", (gint32)vcpu->apic_id);
    insert_standing(&dict, &standing);
    return g_variant_dict_end(&dict);
}

void vh_helpers_describe(const struct vh_thread *thread, const struct vh_standing *standing,
                         GVariantDict *dict)
{
    g_autofree char *name = g_utf8_make_valid(thread->name, -1);

    g_variant_dict_insert(dict, "role", "s", vh_thread_kind_text(thread->kind));
    g_variant_dict_insert(dict, "name", "s", name);
    insert_standing(dict, standing);
}

static GVariant *describe_helper(const VhRound *round, const struct vh_entry *entry,
                                 const struct vh_thread *thread)
{
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
    g_auto(VhStanding) standing = {0};

    vh_standing_helper(round, entry, thread, &standing);
    vh_helpers_describe(thread, &standing, &dict);
    return g_variant_dict_end(&dict);
}

void vh_round_describe(const VhRound *round, const struct vh_entry *entry, GVariant **vcpus,
                       GVariant **threads)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    g_auto(GVariantBuilder) others = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("aa{sv}"));
    unsigned count = 0;
    const struct vh_vcpu *vcpu = vh_guest_vcpus(entry->guest, &count);
    const struct vh_thread *helpers = NULL;

    for (unsigned i = 0; i < count; i++)
        g_variant_builder_add_value(&builder, describe_vcpu(round, entry, i, &vcpu[i]));
    helpers = vh_guest_helpers(entry->guest, &count);
    for (unsigned i = 0; i < count; i++)
        g_variant_builder_add_value(&others, describe_helper(round, entry, &helpers[i]));
    *vcpus = g_variant_builder_end(&builder);
    *threads = g_variant_builder_end(&others);
}

GVariant *vh_round_memory(const VhRound *round, const struct vh_entry *entry)
{
    return vh_ram_describe(round->ram, vh_entry_name(entry));
}
