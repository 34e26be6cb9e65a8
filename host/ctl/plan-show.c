// SPDX-License-Identifier: GPL-2.0-or-later
// Shows a plan, and the steps to it, to people and to programs.
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "ctl/plan.h"

static char *place(bool held, const struct vh_cpuset *cpus)
{
    return held ? vh_cpuset_format(cpus) : g_strdup("floats");
}

static void add_text(JsonBuilder *builder, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, valid);
}

/* "threads": [...] */
static unsigned add_threads(JsonBuilder *builder, const GPtrArray *lines, bool changed_only)
{
    unsigned changes = 0;

    json_builder_set_member_name(builder, "threads");
    json_builder_begin_array(builder);
    for (guint i = 0; i < lines->len; i++) {
        const struct vh_forecast_line *line = g_ptr_array_index(lines, i);
        g_autofree char *before = line->held ? vh_cpuset_format(&line->before) : g_strdup("");
        g_autofree char *planned = line->would ? vh_cpuset_format(&line->planned) : g_strdup("");

        changes += line->changes;
        if (changed_only && !line->changes)
            continue;
        json_builder_begin_object(builder);
        add_text(builder, "guest", line->guest);
        add_text(builder, "thread", line->thread);
        add_text(builder, "now", before);
        add_text(builder, "planned", planned);
        json_builder_set_member_name(builder, "changes");
        json_builder_add_boolean_value(builder, line->changes);
        add_text(builder, "reason", line->reason);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    return changes;
}

static void add_texts(JsonBuilder *builder, const char *name, const GPtrArray *texts)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
    for (guint i = 0; i < texts->len; i++) {
        g_autofree char *valid = g_utf8_make_valid(g_ptr_array_index(texts, i), -1);

        json_builder_add_string_value(builder, valid);
    }
    json_builder_end_array(builder);
}

void vh_plan_show_json(const struct plan *plan, const GPtrArray *lines)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    unsigned changes = 0;

    json_builder_begin_object(builder);
    add_text(builder, "from", plan->from);
    changes = add_threads(builder, lines, false);
    json_builder_set_member_name(builder, "changes");
    json_builder_add_int_value(builder, changes);
    add_texts(builder, "problems", vh_forecast_problems(plan->forecast));
    add_texts(builder, "notes", plan->notes);
    if (plan->steps) {
        json_builder_set_member_name(builder, "steps");
        json_builder_end_array(plan->steps);
        json_builder_add_value(builder, json_builder_get_root(plan->steps));
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    vh_ctl_print_json(root);
}

static void show_texts(const char *label, const GPtrArray *texts)
{
    for (guint i = 0; i < texts->len; i++) {
        g_autofree char *text = vh_text_printable(g_ptr_array_index(texts, i), false);

        printf("%s: %s\n", label, text);
    }
}

void vh_plan_show_people(const struct plan *plan, const GPtrArray *lines)
{
    static const char *const columns[] = {"GUEST", "THREAD", "NOW", "PLANNED", "REASON", NULL};
    g_autoptr(VhTable) table = vh_table_new(columns);
    unsigned changes = 0;

    for (guint i = 0; i < lines->len; i++) {
        const struct vh_forecast_line *line = g_ptr_array_index(lines, i);
        g_autofree char *before = place(line->held, &line->before);
        g_autofree char *planned =
            line->changes ? place(line->would, &line->planned) : g_strdup("as now");

        changes += line->changes;
        vh_table_add(table, line->guest);
        vh_table_add(table, line->thread);
        vh_table_add(table, before);
        vh_table_add(table, planned);
        vh_table_add(table, line->reason);
    }
    if (lines->len)
        vh_table_print(table);
    show_texts("problem", vh_forecast_problems(plan->forecast));
    show_texts("note", plan->notes);
    printf("%u of %u threads would change (guests from %s); nothing was done\n", changes,
           lines->len, plan->from);
}

static void show_step_people(const struct plan *plan, const GPtrArray *lines, const char *what)
{
    g_autofree char *printable = vh_text_printable(what, false);

    printf("%.6f %s\n", (double)plan->now / G_USEC_PER_SEC, printable);
    for (guint i = 0; i < lines->len; i++) {
        const struct vh_forecast_line *line = g_ptr_array_index(lines, i);
        g_autofree char *before = place(line->held, &line->before);
        g_autofree char *planned = place(line->would, &line->planned);
        g_autofree char *text = NULL;
        g_autofree char *clean = NULL;

        if (!line->changes)
            continue;
        text = g_strdup_printf("%s %s: %s -> %s: %s", line->guest, line->thread, before, planned,
                               line->reason);
        clean = vh_text_printable(text, false);
        printf("    %s\n", clean);
    }
}

static char *event_text(const struct vh_event *event)
{
    if (!event)
        return g_strdup("time passes");
    switch (event->kind) {
    case VH_EVENT_GUEST:
        return g_strdup_printf("line %u: guest %s, %u vCPUs", event->line, event->guest->name,
                               event->guest->vcpus->len);
    case VH_EVENT_GONE:
        return g_strdup_printf("line %u: guest %s has left", event->line, event->name);
    case VH_EVENT_FACTS:
        return g_strdup_printf("line %u: all facts of %s, %" G_GUINT64_FORMAT, event->line,
                               event->name, event->count);
    case VH_EVENT_DROPPED:
        return g_strdup_printf("line %u: %" G_GUINT64_FORMAT " hints lost", event->line,
                               event->count);
    default: {
        g_autoptr(JsonNode) node = json_node_init_object(
            json_node_alloc(), vh_json_member_object(vh_json_object(event->json), "hint"));
        g_autofree char *json = json_to_string(node, FALSE);
        g_autofree char *pretty = vh_hint_line_pretty(json);

        return g_strdup_printf("line %u: %s", event->line, pretty);
    }
    }
}

void vh_plan_show_step(const struct plan *plan, const GPtrArray *lines)
{
    g_autofree char *what = event_text(plan->at);
    unsigned changes = 0;

    for (guint i = 0; i < lines->len; i++)
        changes += ((const struct vh_forecast_line *)g_ptr_array_index(lines, i))->changes;
    if (!changes)
        return;
    if (!plan->steps) {
        show_step_people(plan, lines, what);
        return;
    }
    json_builder_begin_object(plan->steps);
    json_builder_set_member_name(plan->steps, "t");
    json_builder_add_double_value(plan->steps, (double)plan->now / G_USEC_PER_SEC);
    json_builder_set_member_name(plan->steps, "line");
    json_builder_add_int_value(plan->steps, plan->at ? plan->at->line : 0);
    add_text(plan->steps, "event", what);
    add_threads(plan->steps, lines, true);
    json_builder_end_object(plan->steps);
}
