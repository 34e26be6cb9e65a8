// SPDX-License-Identifier: GPL-2.0-or-later
// Writes recordings.
#include "forecast/recording.h"

#include <string.h>

static void add_text(JsonBuilder *builder, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, valid);
}

static void add_number(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static char *finish(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = NULL;

    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

/* Microseconds, in full. */
static char *prefix(gint64 us, const char *rest)
{
    return g_strdup_printf("{\"t\":%" G_GINT64_FORMAT ".%06d,%s}", us / G_USEC_PER_SEC,
                           (int)(us % G_USEC_PER_SEC), rest);
}

char *vh_recording_head(const char *host, const char *cpus)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *time = g_date_time_format_iso8601(now);

    json_builder_begin_object(builder);
    add_number(builder, "vhint-recording", VH_RECORDING_VERSION);
    add_text(builder, "vhint", VH_VERSION);
    add_text(builder, "time", time);
    add_text(builder, "host", host);
    add_text(builder, "cpus", cpus);
    return finish(builder);
}

static void add_thread(JsonBuilder *builder, const char *role, const char *name, bool held,
                       const struct vh_cpuset *held_to)
{
    g_autofree char *list = held ? vh_cpuset_format(held_to) : g_strdup("");

    json_builder_begin_object(builder);
    add_text(builder, "role", role);
    add_text(builder, "name", name);
    add_text(builder, "held_to", list);
    json_builder_end_object(builder);
}

static void add_threads(JsonBuilder *builder, const struct vh_forecast_guest *guest)
{
    json_builder_set_member_name(builder, "threads");
    json_builder_begin_array(builder);
    if (guest->emulator_held)
        add_thread(builder, "emulator", "", true, &guest->emulator_to);
    for (guint i = 0; i < guest->threads->len; i++) {
        const struct vh_forecast_thread *thread =
            &g_array_index(guest->threads, struct vh_forecast_thread, i);

        add_thread(builder, thread->vhost ? "vhost" : "iothread", thread->name, thread->held,
                   &thread->held_to);
    }
    json_builder_end_array(builder);
}

char *vh_recording_guest(gint64 us, const struct vh_forecast_guest *guest)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree char *nodes = guest->nodes_known ? vh_cpuset_format(&guest->nodes) : g_strdup("");
    g_autofree char *body = NULL;
    g_autofree char *member = NULL;

    json_builder_begin_object(builder);
    add_text(builder, "name", guest->name);
    add_text(builder, "uuid", guest->uuid);
    add_text(builder, "profile", guest->profile);
    if (!g_str_equal(guest->title, guest->name))
        add_text(builder, "title", guest->title);
    add_text(builder, "boot_id", guest->boot_id);
    add_text(builder, "memory_nodes", nodes);
    json_builder_set_member_name(builder, "vcpus");
    json_builder_begin_array(builder);
    for (guint i = 0; i < guest->vcpus->len; i++) {
        const struct vh_forecast_vcpu *vcpu =
            &g_array_index(guest->vcpus, struct vh_forecast_vcpu, i);
        g_autofree char *held_to = vcpu->held ? vh_cpuset_format(&vcpu->held_to) : g_strdup("");

        json_builder_begin_object(builder);
        add_number(builder, "index", vcpu->index);
        add_number(builder, "guest_cpu", vcpu->guest_cpu);
        add_text(builder, "held_to", held_to);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    add_threads(builder, guest);
    body = finish(builder);
    member = g_strconcat("\"guest\":", body, NULL);
    return prefix(us, member);
}

static char *quoted(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autoptr(JsonNode) node = json_node_init_string(json_node_alloc(), valid);

    return json_to_string(node, FALSE);
}

char *vh_recording_gone(gint64 us, const char *name)
{
    g_autofree char *text = quoted(name);
    g_autofree char *member = g_strconcat("\"gone\":", text, NULL);

    return prefix(us, member);
}

char *vh_recording_facts(gint64 us, const char *name, unsigned count)
{
    g_autofree char *text = quoted(name);
    g_autofree char *member = g_strdup_printf("\"facts\":%s,\"count\":%u", text, count);

    return prefix(us, member);
}

char *vh_recording_hint(gint64 us, const char *json)
{
    g_autofree char *member = NULL;

    if (g_str_has_prefix(json, "{\"dropped\":"))
        member = g_strndup(json + 1, strlen(json) - 2);
    else
        member = g_strconcat("\"hint\":", json, NULL);
    return prefix(us, member);
}
