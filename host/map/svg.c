// SPDX-License-Identifier: GPL-2.0-or-later
// Draws a map as SVG. Sockets one below the other, in them boxes for L3 caches, in these cores, in
// these CPUs.
#include <math.h>
#include <string.h>

#include "base/printable.h"
#include "map/state.h"

/* Pixels. */
enum {
    TILE_W = 78, /* a CPU */
    TILE_H = 34,
    CORE_PAD = 3,
    CORE_GAP = 5,
    CELL_PAD = 10,
    CELL_HEAD = 22,
    CELL_GAP = 14,
    MARGIN = 24,
    SOCKET_HEAD = 30,
    HEAD = 70,
    LEGEND_W = 488,
    LEGEND_H = 20,
    CORES_IN_LINE = 8,
    LINE_W = 1500, /* a socket's boxes break beyond that */
    STRIPES = 6    /* guests that share a CPU; further ones are told in its tooltip */
};
#define CHARS_IN_TILE 10
#define NAME_IN_LEGEND 18

static void append_text(GString *out, const char *class, int x, int y, const char *text)
{
    g_autofree char *escaped = g_markup_escape_text(text, -1);

    g_string_append_printf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", class, x, y,
                           escaped);
}

/* ---- colours ---- */

static unsigned channel(double hue, double saturation, double lightness, double shift)
{
    double k = fmod(shift + hue / 30, 12);
    double a = saturation * MIN(lightness, 1 - lightness);

    return (unsigned)lrint(255 * (lightness - a * MAX(-1, MIN(MIN(k - 3, 9 - k), 1))));
}

/* Each guest's hue is far from those of the guests before it: multiples of the golden angle. */
static unsigned colour(unsigned guest, double saturation, double lightness)
{
    double hue = fmod(210 + 137.508 * guest, 360);

    return channel(hue, saturation, lightness, 0) << 16 |
           channel(hue, saturation, lightness, 8) << 8 | channel(hue, saturation, lightness, 4);
}

static void append_style(GString *out, const VhMap *map)
{
    g_string_append(
        out, "<style>\n"
             "text{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:12px;fill:#1f2933}\n"
             ".title{font-size:20px;font-weight:600}.socket{font-size:15px;font-weight:600}\n"
             ".dim,.number{fill:#52606d}.number{font-size:9px}\n"
             ".owner{font-size:11px;font-weight:600;text-anchor:middle}\n"
             ".page{fill:#fff}.box{fill:#f0f3f6;stroke:#c5ced8}.core{fill:#dfe5eb}\n"
             ".cpu{fill:#fff}.reserved{fill:#b8c2cc}\n");
    for (guint i = 0; i < map->guests->len; i++)
        g_string_append_printf(out, ".g%u{fill:#%06x}.s%u{fill:#%06x}\n", i, colour(i, 0.75, 0.80),
                               i, colour(i, 0.65, 0.50));
    g_string_append(out, "@media (prefers-color-scheme:dark){\n"
                         "text{fill:#e6ebf0}.dim,.number{fill:#9fb0c0}\n"
                         ".page{fill:#12181f}.box{fill:#1b242e;stroke:#3a4857}.core{fill:#2a3643}\n"
                         ".cpu{fill:#151c24}.reserved{fill:#4a5866}\n");
    for (guint i = 0; i < map->guests->len; i++)
        g_string_append_printf(out, ".g%u{fill:#%06x}.s%u{fill:#%06x}\n", i, colour(i, 0.50, 0.32),
                               i, colour(i, 0.60, 0.58));
    g_string_append(out, "}\n</style>\n");
}

/* ---- a CPU ---- */

/* "web-serv…/12": the name gives way, never the number. */
static char *fit(const char *name, int vcpu)
{
    g_autofree char *number = vcpu >= 0 ? g_strdup_printf("/%d", vcpu) : g_strdup("");
    int room = CHARS_IN_TILE - vh_text_width(number);
    GString *out = g_string_new(NULL);

    if (vh_text_width(name) <= room)
        return g_strconcat(name, number, NULL);
    for (const char *at = name; *at; at = g_utf8_next_char(at)) {
        room -= g_unichar_iswide(g_utf8_get_char(at)) ? 2 : 1;
        if (room < 1)
            break;
        g_string_append_unichar(out, g_utf8_get_char(at));
    }
    g_string_append(out, "…");
    g_string_append(out, number);
    return g_string_free(out, FALSE);
}

/* All that is held here, for whoever points at it. */
static void append_tooltip(GString *out, const VhMap *map, unsigned cpu)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "CPU %u%s", cpu,
                           vh_cpuset_has(&map->reserved, cpu) ? ", reserved for the host" : "");
    for (guint i = 0; i < map->threads->len; i++) {
        const struct thread *thread = vh_map_thread(map, i);

        if (!thread->held || !vh_cpuset_has(&thread->cpus, cpu))
            continue;
        g_string_append_printf(text, "\n%s, %s%s%s%s", vh_map_guest(map, thread->guest)->name,
                               thread->role, thread->cpu < 0 ? ", with others" : "",
                               *thread->why ? ": " : "", thread->why);
    }
    g_autofree char *escaped = g_markup_escape_text(text->str, -1);
    g_string_append_printf(out, "<title>%s</title>", escaped);
}

static void append_stripes(GString *out, const VhMap *map, unsigned cpu, int x, int y)
{
    int left = x;

    for (guint i = 0; i < map->guests->len && left < x + STRIPES * (TILE_W / STRIPES); i++) {
        if (!vh_map_shares(map, i, cpu))
            continue;
        g_string_append_printf(out,
                               "<rect class=\"s%u\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"4\"/>",
                               i, left, y + TILE_H - 5, TILE_W / STRIPES - 1);
        left += TILE_W / STRIPES;
    }
}

static void append_cpu(GString *out, const VhMap *map, unsigned cpu, int x, int y)
{
    unsigned more = 0;
    const struct thread *owner = vh_map_owner(map, cpu, &more);
    const char *unowned = vh_cpuset_has(&map->reserved, cpu) ? "reserved" : "cpu";
    g_autofree char *class = owner ? g_strdup_printf("g%u", owner->guest) : g_strdup(unowned);
    g_autofree char *number = g_strdup_printf("%u", cpu);

    g_string_append(out, "<g>");
    append_tooltip(out, map, cpu);
    g_string_append_printf(
        out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"/>\n", class,
        x, y, TILE_W, TILE_H);
    append_text(out, "number", x + 4, y + 10, number);
    if (owner) {
        const char *name = vh_map_guest(map, owner->guest)->name;
        g_autofree char *whole =
            owner->vcpu >= 0 ? g_strdup(name) : g_strdup_printf("%s %s", name, owner->role);
        g_autofree char *label = fit(whole, owner->vcpu);
        g_autofree char *others = more ? g_strdup_printf("+%u", more) : g_strdup("");

        append_text(out, "owner", x + TILE_W / 2, y + 24, label);
        append_text(out, "number", x + TILE_W - 20, y + 10, others);
    }
    append_stripes(out, map, cpu, x + 2, y);
    g_string_append(out, "</g>\n");
}

/* ---- an L3 cache ---- */

/* The most CPUs that a core has. */
static int threads_per_core(const VhMap *map)
{
    unsigned most = 1;

    for (unsigned i = 0; i < map->topology->core_count; i++)
        most = MAX(most, map->topology->cores[i].count);
    return (int)most;
}

static int core_w(void)
{
    return TILE_W + 2 * CORE_PAD;
}

static int core_h(const VhMap *map)
{
    return threads_per_core(map) * (TILE_H + CORE_PAD) + CORE_PAD;
}

static int cell_w(const struct cell *cell)
{
    return (int)MIN(cell->cores->len, CORES_IN_LINE) * (core_w() + CORE_GAP) - CORE_GAP +
           2 * CELL_PAD;
}

static int cell_h(const VhMap *map, const struct cell *cell)
{
    int lines = ((int)cell->cores->len + CORES_IN_LINE - 1) / CORES_IN_LINE;

    return CELL_HEAD + lines * (core_h(map) + CORE_GAP) - CORE_GAP + CELL_PAD;
}

static void append_cell(GString *out, const VhMap *map, const struct cell *cell, int x, int y)
{
    g_autofree char *heading = vh_map_cell_text(map, cell);

    g_string_append_printf(
        out, "<rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", x, y,
        cell_w(cell), cell_h(map, cell));
    append_text(out, "dim", x + CELL_PAD, y + 15, heading);
    for (guint i = 0; i < cell->cores->len; i++) {
        const struct vh_host_core *core =
            &map->topology->cores[g_array_index(cell->cores, uint16_t, i)];
        int left = x + CELL_PAD + (int)(i % CORES_IN_LINE) * (core_w() + CORE_GAP);
        int top = y + CELL_HEAD + (int)(i / CORES_IN_LINE) * (core_h(map) + CORE_GAP);
        int tile = top + CORE_PAD;

        g_string_append_printf(
            out, "<rect class=\"core\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>\n",
            left, top, core_w(), core_h(map));
        for (unsigned j = 0; j < core->count; j++) {
            unsigned cpu = map->topology->siblings[core->first + j];

            if (!vh_map_cell_has(map, cell, cpu))
                continue;
            append_cpu(out, map, cpu, left + CORE_PAD, tile);
            tile += TILE_H + CORE_PAD;
        }
    }
}

/* ---- the whole ---- */

/* Draws all cells; the page's extent so far is updated. */
static void append_cells(GString *out, const VhMap *map, int *width, int *height)
{
    int x = MARGIN;
    int line = 0; /* height of the tallest box in this line */

    for (guint i = 0; i < map->cells->len; i++) {
        const struct cell *cell = &g_array_index(map->cells, struct cell, i);
        bool socket = i == 0 || cell[-1].package != cell->package;
        bool node = i > 0 && cell[-1].node != cell->node &&
                    map->topology->node_count > map->topology->package_count;

        if (i > 0 && (socket || node || x + cell_w(cell) > LINE_W)) {
            *height += line + CELL_GAP;
            x = MARGIN;
            line = 0;
        }
        if (socket) {
            g_autofree char *heading = g_strdup_printf("socket %u", cell->package);

            append_text(out, "socket", MARGIN, *height + 18, heading);
            *height += SOCKET_HEAD;
        }
        append_cell(out, map, cell, x, *height);
        x += cell_w(cell) + CELL_GAP;
        line = MAX(line, cell_h(map, cell));
        *width = MAX(*width, x - CELL_GAP + MARGIN);
    }
    *height += line + CELL_GAP;
}

static void append_legend(GString *out, const VhMap *map, int width, int *height)
{
    unsigned in_line = (unsigned)MAX((width - 2 * MARGIN) / LEGEND_W, 1);

    *height += 12;
    for (guint i = 0; i < map->guests->len; i++) {
        const struct guest *guest = vh_map_guest(map, i);
        int x = MARGIN + (int)(i % in_line) * LEGEND_W;
        int y = *height + (int)(i / in_line) * LEGEND_H;
        g_autofree char *text = vh_map_guest_text(guest);
        g_autofree char *head =
            g_utf8_substring(guest->name, 0, MIN(g_utf8_strlen(guest->name, -1), NAME_IN_LEGEND));
        g_autofree char *name =
            g_strconcat(head, strlen(head) < strlen(guest->name) ? "…" : "", NULL);
        g_autofree char *line = g_strdup_printf("%s: %s", name, text);

        g_string_append_printf(
            out,
            "<rect class=\"g%u\" x=\"%d\" y=\"%d\" width=\"16\" height=\"12\" rx=\"2\"/>"
            "<rect class=\"s%u\" x=\"%d\" y=\"%d\" width=\"16\" height=\"3\"/>\n",
            i, x, y, i, x, y + 9);
        append_text(out, "dim", x + 22, y + 11, line);
    }
    *height += (int)((map->guests->len + in_line - 1) / in_line) * LEGEND_H + MARGIN;
}

char *vh_map_svg(const VhMap *map)
{
    g_autoptr(GString) body = g_string_new(NULL);
    g_autofree char *host = vh_map_host_text(map);
    int width = 640;
    int height = HEAD;

    append_text(body, "title", MARGIN, 34, map->title);
    append_text(body, "dim", MARGIN, 54, host);
    append_cells(body, map, &width, &height);
    append_legend(body, map, width, &height);
    append_text(body, "dim", MARGIN, height - 6,
                "A coloured CPU has one vCPU alone; a stripe: vCPUs of that guest are held to it "
                "and others.");
    height += 14;

    GString *out = g_string_new(NULL);
    g_string_append_printf(out,
                           "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                           "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                           "viewBox=\"0 0 %d %d\" "
                           "role=\"img\">\n",
                           width, height, width, height);
    append_style(out, map);
    g_string_append_printf(out, "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n", width,
                           height);
    g_string_append_len(out, body->str, (gssize)body->len);
    g_string_append(out, "</svg>\n");
    return g_string_free(out, FALSE);
}
