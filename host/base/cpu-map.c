// SPDX-License-Identifier: GPL-2.0-or-later
// Joins a guest's CPU numbers with QEMU's vCPUs.
#include "base/cpu-map.h"

#include <glib.h>
#include <string.h>

static int find_apic_id(const struct vh_vcpu *vcpus, unsigned count, uint32_t apic_id)
{
    for (unsigned i = 0; i < count; i++)
        if (vcpus[i].apic_id == (int64_t)apic_id)
            return (int)i;
    return -1;
}

void vh_cpu_map_join(struct vh_cpu_map *map, const struct vh_cpu *cpus, uint32_t count,
                     const struct vh_vcpu *vcpus, unsigned vcpu_count)
{
    memset(map, 0, sizeof(*map));
    for (uint32_t cpu = 0; cpu < VH_CPUS_MAX; cpu++)
        map->cpus[cpu].vcpu = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t cpu = cpus[i].cpu;

        if (cpu >= VH_CPUS_MAX)
            continue;
        map->count = MAX(map->count, cpu + 1);
        map->cpus[cpu].known = true;
        map->cpus[cpu].online = cpus[i].flags & VH_CPU_ONLINE;
        map->cpus[cpu].vcpu = cpus[i].apic_id == VH_APIC_UNKNOWN
                                  ? -1
                                  : find_apic_id(vcpus, vcpu_count, cpus[i].apic_id);
    }
}

int vh_cpu_map_find(const struct vh_cpu_map *map, unsigned position)
{
    for (uint32_t cpu = 0; cpu < map->count; cpu++)
        if (map->cpus[cpu].known && map->cpus[cpu].vcpu == (int)position)
            return (int)cpu;
    return -1;
}
