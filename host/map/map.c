// SPDX-License-Identifier: GPL-2.0-or-later
// Gathers what a map shows, and writes it for programs.
#include "map/state.h"

#include "base/printable.h"

static void clear_guest(gpointer data)
{
    g_free(((struct guest *)data)->name);
}

static void clear_thread(gpointer data)
{
    struct thread *thread = data;

    g_free(thread->role);
    g_free(thread->why);
}

static void clear_cell(gpointer data)
{
    g_array_unref(((struct cell *)data)->cores);
}

/* ---- the host ---- */

bool vh_map_cell_has(const VhMap *map, const struct cell *cell, unsigned cpu)
{
    const struct vh_host_cpu *at = &map->topology->cpus[cpu];

    return at->package == cell->package && at->node == cell->node && at->l3 == cell->l3;
}

static struct cell *cell_of(VhMap *map, unsigned cpu)
{
    const struct vh_host_cpu *at = &map->topology->cpus[cpu];
    struct cell cell = {.package = at->package, .node = at->node, .l3 = at->l3};

    for (guint i = 0; i < map->cells->len; i++)
        if (vh_map_cell_has(map, &g_array_index(map->cells, struct cell, i), cpu))
            return &g_array_index(map->cells, struct cell, i);
    cell.cores = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    g_array_append_val(map->cells, cell);
    return &g_array_index(map->cells, struct cell, map->cells->len - 1);
}

/* Dense numbers follow the lowest CPU, so they are an order. */
static int by_place(gconstpointer a, gconstpointer b)
{
    const struct cell *x = a, *y = b;

    if (x->package != y->package)
        return x->package < y->package ? -1 : 1;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->l3 < y->l3 ? -1 : x->l3 > y->l3;
}

VhMap *vh_map_new(const struct vh_topology *topology, const char *title)
{
    VhMap *map = g_new0(VhMap, 1);

    map->topology = topology;
    map->title = vh_text_printable(title, false);
    map->guests = g_array_new(FALSE, TRUE, sizeof(struct guest));
    map->threads = g_array_new(FALSE, TRUE, sizeof(struct thread));
    map->cells = g_array_new(FALSE, TRUE, sizeof(struct cell));
    g_array_set_clear_func(map->guests, clear_guest);
    g_array_set_clear_func(map->threads, clear_thread);
    g_array_set_clear_func(map->cells, clear_cell);
    for (unsigned cpu = 0; cpu < topology->cpu_count; cpu++) {
        struct cell *cell = topology->cpus[cpu].online ? cell_of(map, cpu) : NULL;
        bool known = false;

        for (guint i = 0; cell && i < cell->cores->len; i++)
            known = known || g_array_index(cell->cores, uint16_t, i) == topology->cpus[cpu].core;
        if (cell && !known)
            g_array_append_val(cell->cores, topology->cpus[cpu].core);
    }
    g_array_sort(map->cells, by_place);
    return map;
}

void vh_map_free(VhMap *map)
{
    if (!map)
        return;
    g_array_unref(map->guests);
    g_array_unref(map->threads);
    g_array_unref(map->cells);
    g_free(map->title);
    g_free(map);
}

void vh_map_reserve(VhMap *map, const struct vh_cpuset *cpus)
{
    map->reserved = *cpus;
}

/* ---- the guests ---- */

void vh_map_add_guest(VhMap *map, const char *name)
{
    struct guest guest = {.name = vh_text_printable(name, false)};

    g_array_append_val(map->guests, guest);
}

void vh_map_add_thread(VhMap *map, const struct vh_map_thread *thread)
{
    struct guest *guest = &g_array_index(map->guests, struct guest, map->guests->len - 1);
    struct thread added = {.guest = map->guests->len - 1,
                           .vcpu = thread->vcpu,
                           .role = thread->vcpu >= 0 ? g_strdup_printf("vCPU %d", thread->vcpu)
                                                     : vh_text_printable(thread->role, false),
                           .why = vh_text_printable(thread->why ? thread->why : "", false),
                           .held = thread->cpus != NULL,
                           .cpu = -1};

    if (thread->cpus) {
        added.cpus = *thread->cpus;
        vh_cpuset_and(&added.cpus, &map->topology->online);
        if (vh_cpuset_count(&added.cpus) == 1)
            added.cpu = vh_cpuset_next(&added.cpus, 0);
    }
    guest->vcpus += thread->vcpu >= 0;
    guest->alone += thread->vcpu >= 0 && added.cpu >= 0;
    guest->shared += thread->vcpu >= 0 && added.held && added.cpu < 0;
    g_array_append_val(map->threads, added);
}

const struct thread *vh_map_owner(const VhMap *map, unsigned cpu, unsigned *more)
{
    const struct thread *owner = NULL;

    *more = 0;
    for (guint i = 0; i < map->threads->len; i++) {
        const struct thread *thread = vh_map_thread(map, i);

        if (thread->cpu != (int)cpu)
            continue;
        *more += owner != NULL;
        owner = owner ? owner : thread;
    }
    return owner;
}

bool vh_map_shares(const VhMap *map, unsigned guest, unsigned cpu)
{
    for (guint i = 0; i < map->threads->len; i++) {
        const struct thread *thread = vh_map_thread(map, i);

        if (thread->guest == guest && thread->held && thread->cpu < 0 &&
            vh_cpuset_has(&thread->cpus, cpu))
            return true;
    }
    return false;
}

/* ---- in words ---- */

static void append_count(GString *out, unsigned count, const char *one, const char *many)
{
    g_string_append_printf(out, "%s%u %s", out->len ? ", " : "", count, count == 1 ? one : many);
}

char *vh_map_guest_text(const struct guest *guest)
{
    GString *out = g_string_new(NULL);
    unsigned floating = guest->vcpus - guest->alone - guest->shared;

    if (guest->alone)
        append_count(out, guest->alone, "on a CPU of its own", "on a CPU each");
    if (guest->shared)
        append_count(out, guest->shared, "held to a set", "held to sets");
    if (floating)
        append_count(out, floating, "floats", "float");
    g_autofree char *how = g_string_free(out, FALSE);
    return g_strdup_printf("%u vCPU%s%s%s", guest->vcpus, guest->vcpus == 1 ? "" : "s",
                           *how ? ": " : "", how);
}

char *vh_map_host_text(const VhMap *map)
{
    GString *out = g_string_new(NULL);

    append_count(out, vh_cpuset_count(&map->topology->online), "CPU", "CPUs");
    append_count(out, map->topology->core_count, "core", "cores");
    append_count(out, map->topology->l3_count, "L3 cache", "L3 caches");
    append_count(out, map->topology->node_count, "NUMA node", "NUMA nodes");
    append_count(out, map->topology->package_count, "socket", "sockets");
    return g_string_free(out, FALSE);
}

char *vh_map_cell_text(const VhMap *map, const struct cell *cell)
{
    return g_strdup_printf("L3 %u, NUMA node %u", cell->l3,
                           map->topology->nodes[cell->node].number);
}

/* ---- for programs ---- */

static void add_int(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static void add_text(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, value);
}

static void add_cpu(JsonBuilder *builder, const VhMap *map, unsigned cpu)
{
    const struct vh_host_cpu *at = &map->topology->cpus[cpu];

    json_builder_begin_object(builder);
    add_int(builder, "cpu", cpu);
    add_int(builder, "socket", at->package);
    add_int(builder, "node", map->topology->nodes[at->node].number);
    add_int(builder, "l3", at->l3);
    add_int(builder, "core", at->core);
    json_builder_set_member_name(builder, "reserved");
    json_builder_add_boolean_value(builder, vh_cpuset_has(&map->reserved, cpu));
    json_builder_end_object(builder);
}

static void add_guest(JsonBuilder *builder, const VhMap *map, unsigned number)
{
    json_builder_begin_object(builder);
    add_text(builder, "name", vh_map_guest(map, number)->name);
    json_builder_set_member_name(builder, "threads");
    json_builder_begin_array(builder);
    for (guint i = 0; i < map->threads->len; i++) {
        const struct thread *thread = vh_map_thread(map, i);
        g_autofree char *cpus = thread->held ? vh_cpuset_format(&thread->cpus) : g_strdup("");

        if (thread->guest != number)
            continue;
        json_builder_begin_object(builder);
        add_text(builder, "thread", thread->role);
        add_text(builder, "host_cpus", cpus);
        add_text(builder, "reason", thread->why);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

JsonNode *vh_map_json(const VhMap *map)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    add_text(builder, "title", map->title);
    json_builder_set_member_name(builder, "cpus");
    json_builder_begin_array(builder);
    for (unsigned cpu = 0; cpu < map->topology->cpu_count; cpu++)
        if (map->topology->cpus[cpu].online)
            add_cpu(builder, map, cpu);
    json_builder_end_array(builder);
    json_builder_set_member_name(builder, "guests");
    json_builder_begin_array(builder);
    for (guint i = 0; i < map->guests->len; i++)
        add_guest(builder, map, i);
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}
