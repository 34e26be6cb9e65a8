// SPDX-License-Identifier: GPL-2.0-or-later
// Reads how busy the host's CPUs are.
#include "machine/load.h"

#include <stdio.h>
#include <string.h>

/* Of one CPU, in clock ticks since boot. */
struct ticks {
    guint64 busy, idle;
};

struct VhLoad {
    char *path;
    gint64 when;      /* of the last reading */
    GArray *ticks;    /* struct ticks, by CPU: the last reading */
    GArray *permille; /* uint16_t, by CPU: between the last two */
};

/* Source: proc(5). A guest's time is in "user" already. */
static GArray *read_ticks(const char *path)
{
    GArray *ticks = g_array_new(FALSE, TRUE, sizeof(struct ticks));
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return ticks;
    for (const char *line = text; line && g_str_has_prefix(line, "cpu");
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned cpu = 0;
        unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;

        /* Not the first line, the sum, though sscanf would skip the spaces in it. */
        if (!g_ascii_isdigit(line[3]) ||
            sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &user, &nice,
                   &system, &idle, &iowait, &irq, &softirq, &steal) != 9 ||
            cpu >= 65536)
            continue;
        if (cpu >= ticks->len)
            g_array_set_size(ticks, cpu + 1);
        g_array_index(ticks, struct ticks, cpu) = (struct ticks){
            .busy = user + nice + system + irq + softirq + steal, .idle = idle + iowait};
    }
    return ticks;
}

VhLoad *vh_load_new(const char *path)
{
    VhLoad *load = g_new0(VhLoad, 1);

    load->path = g_strdup(path);
    load->ticks = read_ticks(path);
    load->permille = g_array_new(FALSE, TRUE, sizeof(uint16_t));
    return load;
}

void vh_load_free(VhLoad *load)
{
    if (!load)
        return;
    g_array_unref(load->ticks);
    g_array_unref(load->permille);
    g_free(load->path);
    g_free(load);
}

/* Counters of a CPU that was offline meanwhile may begin anew. */
static uint16_t share(const struct ticks *before, const struct ticks *after)
{
    guint64 busy = after->busy > before->busy ? after->busy - before->busy : 0;
    guint64 idle = after->idle > before->idle ? after->idle - before->idle : 0;

    if (busy + idle == 0)
        return 0;
    return (uint16_t)(busy * 1000 / (busy + idle));
}

const uint16_t *vh_load_read(VhLoad *load, unsigned count, gint64 now)
{
    if (!load->when || now - load->when >= VH_LOAD_GAP_US) {
        GArray *ticks = read_ticks(load->path);
        guint both = MIN(ticks->len, load->ticks->len);

        g_array_set_size(load->permille, 0);
        g_array_set_size(load->permille, both);
        for (guint cpu = 0; cpu < both; cpu++)
            g_array_index(load->permille, uint16_t, cpu) =
                share(&g_array_index(load->ticks, struct ticks, cpu),
                      &g_array_index(ticks, struct ticks, cpu));
        g_array_unref(load->ticks);
        load->ticks = ticks;
        load->when = now;
    }
    if (!load->permille->len)
        return NULL;
    if (load->permille->len < count)
        g_array_set_size(load->permille, count);
    return (const uint16_t *)(const void *)load->permille->data;
}
