// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the guest's CPU map: see cpus.h.
#include "cpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

static void cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define autofile __attribute__((cleanup(cleanup_file)))

uint32_t vh_cpus_count(const char *list)
{
    unsigned long highest = 0;
    const char *at = list;

    while (*at >= '0' && *at <= '9') {
        char *end;

        highest = strtoul(at, &end, 10);
        at = end + (*end == '-' || *end == ',');
    }
    if (at == list || highest >= UINT32_MAX)
        return 0;
    return (uint32_t)highest + 1;
}

static int read_possible(const char *sys, uint32_t *possible)
{
    autofile FILE *file = NULL;
    char line[4096];
    char path[256];

    snprintf(path, sizeof(path), "%s/devices/system/cpu/possible", sys);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    if (!fgets(line, sizeof(line), file) || vh_cpus_count(line) == 0)
        return -EBADMSG;
    *possible = vh_cpus_count(line) < VH_CPUS_MAX ? vh_cpus_count(line) : VH_CPUS_MAX;
    return 0;
}

/* /proc/cpuinfo has one paragraph for each online CPU: "processor" begins it, "apicid" stands in
 * it. */
static int read_cpuinfo(const char *proc, struct vh_cpu_map *map)
{
    autofile FILE *file = NULL;
    vh_autofree char *line = NULL;
    size_t room = 0;
    unsigned int cpu = VH_CPUS_MAX;
    unsigned int value;
    char path[256];

    snprintf(path, sizeof(path), "%s/cpuinfo", proc);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    while (getline(&line, &room, file) > 0) {
        if (sscanf(line, "processor : %u", &value) == 1) {
            cpu = value;
            if (cpu < map->possible)
                map->online[cpu] = 1;
        } else if (cpu < map->possible && sscanf(line, "apicid : %u", &value) == 1) {
            map->apic_id[cpu] = value;
        }
    }
    return ferror(file) ? -EIO : 0;
}

int vh_cpus_read(struct vh_cpu_map *map, const char *sys, const char *proc)
{
    struct vh_cpu_map fresh = {0};
    int error = read_possible(sys, &fresh.possible);

    for (uint32_t i = 0; i < VH_CPUS_MAX; i++)
        fresh.apic_id[i] = i < map->possible ? map->apic_id[i] : VH_APIC_UNKNOWN;
    if (error == 0)
        error = read_cpuinfo(proc, &fresh);
    if (error == 0)
        *map = fresh;
    return error;
}

uint32_t vh_cpus_list(const struct vh_cpu_map *map, struct vh_cpu cpus[VH_CPUS_MAX])
{
    for (uint32_t i = 0; i < map->possible; i++)
        cpus[i] = (struct vh_cpu){
            .cpu = i, .apic_id = map->apic_id[i], .flags = map->online[i] ? VH_CPU_ONLINE : 0};
    return map->possible;
}
