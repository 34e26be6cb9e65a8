// SPDX-License-Identifier: GPL-2.0-or-later
// Writes a map as text: one box for each core, as many in a line as fit.
#include "base/printable.h"
#include "map/state.h"

static const char key[] = "In [ ] the CPUs of one core: GUEST/N that guest's vCPU N alone, ~ vCPUs "
                          "held to several CPUs, x reserved "
                          "for the host,\n. nobody held here.\n";

/* "12 web/3+1" */
static void append_cpu(GString *out, const VhMap *map, unsigned cpu, unsigned digits)
{
    unsigned more = 0;
    const struct thread *owner = vh_map_owner(map, cpu, &more);
    bool shared = false;

    g_string_append_printf(out, "%*u ", (int)digits, cpu);
    for (guint i = 0; !owner && !shared && i < map->guests->len; i++)
        shared = vh_map_shares(map, i, cpu);
    if (owner && owner->vcpu >= 0)
        g_string_append_printf(out, "%s/%d", vh_map_guest(map, owner->guest)->name, owner->vcpu);
    else if (owner)
        g_string_append_printf(out, "%s/%s", vh_map_guest(map, owner->guest)->name, owner->role);
    else if (vh_cpuset_has(&map->reserved, cpu))
        g_string_append_c(out, 'x');
    else
        g_string_append_c(out, shared ? '~' : '.');
    if (more)
        g_string_append_printf(out, "+%u", more);
}

/* One text for each core of the cell. */
static GPtrArray *core_texts(const VhMap *map, const struct cell *cell)
{
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    unsigned digits = 2;

    for (unsigned most = 100; map->topology->cpu_count > most && most < 10000; most *= 10)
        digits++;
    for (guint i = 0; i < cell->cores->len; i++) {
        const struct vh_host_core *core =
            &map->topology->cores[g_array_index(cell->cores, uint16_t, i)];
        GString *text = g_string_new("[");

        for (unsigned j = 0; j < core->count; j++) {
            unsigned cpu = map->topology->siblings[core->first + j];

            if (!vh_map_cell_has(map, cell, cpu))
                continue;
            if (text->len > 1)
                g_string_append(text, " |");
            append_cpu(text, map, cpu, digits);
        }
        g_string_append_c(text, ']');
        g_ptr_array_add(texts, g_string_free(text, FALSE));
    }
    return texts;
}

static void append_cell(GString *out, const VhMap *map, const struct cell *cell, unsigned columns)
{
    g_autoptr(GPtrArray) texts = core_texts(map, cell);
    g_autofree char *heading = vh_map_cell_text(map, cell);
    int width = 1;
    unsigned in_line = 0;

    for (guint i = 0; i < texts->len; i++)
        width = MAX(width, vh_text_width(g_ptr_array_index(texts, i)));
    in_line = MAX((columns > 4 ? columns - 4 : 0) / (unsigned)(width + 1), 1u);
    g_string_append_printf(out, "  %s\n", heading);
    for (guint i = 0; i < texts->len; i++) {
        const char *text = g_ptr_array_index(texts, i);
        bool last = (i + 1) % in_line == 0 || i + 1 == texts->len;

        g_string_append_printf(out, "%s%s%*s", i % in_line ? "" : "    ", text,
                               last ? 0 : width - vh_text_width(text) + 1, "");
        if (last)
            g_string_append_c(out, '\n');
    }
}

static void append_guest(GString *out, const VhMap *map, unsigned number)
{
    const struct guest *guest = vh_map_guest(map, number);
    g_autofree char *text = vh_map_guest_text(guest);

    g_string_append_printf(out, "\n%s: %s\n", guest->name, text);
    for (guint i = 0; i < map->threads->len; i++) {
        const struct thread *thread = vh_map_thread(map, i);
        g_autofree char *cpus = NULL;

        if (thread->guest != number || !thread->held)
            continue;
        cpus = vh_cpuset_format(&thread->cpus);
        g_string_append_printf(out, "  %s on %s%s%s\n", thread->role, cpus,
                               *thread->why ? ": " : "", thread->why);
    }
}

char *vh_map_text(const VhMap *map, unsigned columns)
{
    g_autofree char *host = vh_map_host_text(map);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%s: %s\n%s", map->title, host, key);
    for (guint i = 0; i < map->cells->len; i++) {
        const struct cell *cell = &g_array_index(map->cells, struct cell, i);

        if (i == 0 || cell[-1].package != cell->package)
            g_string_append_printf(out, "\nsocket %u\n", cell->package);
        append_cell(out, map, cell, columns);
    }
    for (guint i = 0; i < map->guests->len; i++)
        append_guest(out, map, i);
    return g_string_free(out, FALSE);
}
