// SPDX-License-Identifier: GPL-2.0-or-later
// Reads recordings.
#include "forecast/recording.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"

struct reader {
    const char *label;
    unsigned line;
    GPtrArray *events;
    GError **error;
};

static void event_free(gpointer data)
{
    struct vh_event *event = data;

    vh_forecast_guest_free(event->guest);
    g_free(event->name);
    g_clear_pointer(&event->json, json_node_unref);
    g_free(event);
}

static int refuse(const struct reader *reader, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int refuse(const struct reader *reader, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(reader->error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "%s:%u: %s", reader->label,
                reader->line, what);
    return -1;
}

/* NULL: there is no such text. */
static const char *text_of(JsonObject *object, const char *name)
{
    return vh_json_member_text(object, name, NULL);
}

static gint64 number_of(JsonObject *object, const char *name, gint64 otherwise)
{
    return vh_json_member_int(object, name, G_MININT64, G_MAXINT64, otherwise);
}

/* ---- the kinds of lines ---- */

static int read_cpus(const struct reader *reader, JsonObject *object, const char *name,
                     struct vh_cpuset *cpus, bool *some)
{
    g_autoptr(GError) bad = NULL;
    const char *list = text_of(object, name);

    *some = list && *list;
    if (*some && vh_cpuset_parse(cpus, list, &bad) < 0)
        return refuse(reader, "\"%s\": %s", name, bad->message);
    return 0;
}

static int read_vcpus(const struct reader *reader, JsonObject *object,
                      struct vh_forecast_guest *guest)
{
    JsonArray *list = vh_json_member_array(object, "vcpus");

    if (!list)
        return refuse(reader, "a guest needs \"vcpus\", an array");
    if (vh_json_length(list) > VH_CPUS_MAX)
        return refuse(reader, "guest \"%s\" has %u vCPUs, the limit is %u", guest->name,
                      vh_json_length(list), VH_CPUS_MAX);
    for (guint i = 0; i < vh_json_length(list); i++) {
        JsonObject *entry = vh_json_object(vh_json_element(list, i));
        struct vh_forecast_vcpu vcpu = {0};
        gint64 index = entry ? number_of(entry, "index", i) : -1;
        gint64 cpu = entry ? number_of(entry, "guest_cpu", -1) : -2;

        if (index < 0 || index > G_MAXINT32 || cpu < -1 || cpu >= VH_CPUS_MAX)
            return refuse(reader,
                          "vCPU %u of guest \"%s\": needs \"index\" and \"guest_cpu\" (-1 to %u)",
                          i, guest->name, VH_CPUS_MAX - 1);
        vcpu.index = (unsigned)index;
        vcpu.guest_cpu = (int)cpu;
        if (read_cpus(reader, entry, "held_to", &vcpu.held_to, &vcpu.held) < 0)
            return -1;
        g_array_append_val(guest->vcpus, vcpu);
    }
    return 0;
}

static int read_threads(const struct reader *reader, JsonObject *object,
                        struct vh_forecast_guest *guest)
{
    JsonArray *list = vh_json_member_array(object, "threads");

    for (guint i = 0; i < vh_json_length(list); i++) {
        JsonObject *entry = vh_json_object(vh_json_element(list, i));
        const char *role = text_of(entry, "role");
        const char *name = text_of(entry, "name");
        struct vh_forecast_thread thread = {0};

        if (!role || !(g_str_equal(role, "emulator") || g_str_equal(role, "iothread") ||
                       g_str_equal(role, "vhost")))
            return refuse(
                reader,
                "thread %u of guest \"%s\": \"role\" is \"emulator\", \"iothread\" or \"vhost\"", i,
                guest->name);
        if (read_cpus(reader, entry, "held_to", &thread.held_to, &thread.held) < 0)
            return -1;
        thread.vhost = *role == 'v';
        g_strlcpy(thread.name, name ? name : "", sizeof(thread.name));
        if (*role != 'e') {
            vh_forecast_guest_add_thread(guest, &thread);
            continue;
        }
        guest->emulator_held = thread.held;
        guest->emulator_to = thread.held_to;
    }
    return 0;
}

static void take_text(char **into, JsonObject *object, const char *name)
{
    const char *text = text_of(object, name);

    if (!text)
        return;
    g_free(*into);
    *into = g_strdup(text);
}

static int read_guest(const struct reader *reader, JsonObject *object, struct vh_event *event)
{
    const char *name = text_of(object, "name");

    if (!name || !*name)
        return refuse(reader, "a guest needs a \"name\"");
    event->kind = VH_EVENT_GUEST;
    event->guest = vh_forecast_guest_new(name);
    take_text(&event->guest->uuid, object, "uuid");
    take_text(&event->guest->profile, object, "profile");
    take_text(&event->guest->title, object, "title");
    take_text(&event->guest->boot_id, object, "boot_id");
    if (read_cpus(reader, object, "memory_nodes", &event->guest->nodes,
                  &event->guest->nodes_known) < 0)
        return -1;
    return read_vcpus(reader, object, event->guest) < 0
               ? -1
               : read_threads(reader, object, event->guest);
}

static int read_hint(const struct reader *reader, JsonObject *object, struct vh_event *event)
{
    gint64 key = number_of(object, "key", -1);

    event->kind = VH_EVENT_HINT;
    event->hint = (struct vh_forecast_hint){
        .guest = text_of(object, "guest"),
        .program = text_of(object, "program"),
        .kind = text_of(object, "kind"),
        .gone = vh_json_member_bool(object, "gone", false),
        .key_size = (unsigned)key,
        .fields = vh_json_member_object(object, "fields"),
    };
    if (!event->hint.guest || !event->hint.program || !event->hint.kind || !event->hint.fields)
        return refuse(reader,
                      "a hint needs \"guest\", \"program\", \"kind\", and \"fields\", an object");
    if (key < 0 || key > (gint64)VH_HINT_MAX)
        return refuse(reader, "a hint needs \"key\", the bytes of its key (0 to %u)", VH_HINT_MAX);
    return 0;
}

static gint64 time_of(JsonObject *object)
{
    double seconds = -1;

    vh_json_number(vh_json_member(object, "t"), &seconds);
    return seconds >= 0 && seconds < 1e9 ? (gint64)llrint(seconds * G_USEC_PER_SEC) : -1;
}

static int read_event(const struct reader *reader, JsonObject *object, struct vh_event *event)
{
    JsonObject *guest = vh_json_member_object(object, "guest");
    JsonObject *hint = vh_json_member_object(object, "hint");
    gint64 count = 0;

    event->us = time_of(object);
    if (event->us < 0)
        return refuse(reader, "needs \"t\", the seconds since the recording began");
    if (guest)
        return read_guest(reader, guest, event);
    if (hint)
        return read_hint(reader, hint, event);
    if (text_of(object, "gone")) {
        event->kind = VH_EVENT_GONE;
        event->name = g_strdup(text_of(object, "gone"));
        return 0;
    }
    event->kind = text_of(object, "facts") ? VH_EVENT_FACTS : VH_EVENT_DROPPED;
    event->name = g_strdup(text_of(object, "facts"));
    count = number_of(object, event->name ? "count" : "dropped", -1);
    if (count < 0 && event->name)
        return refuse(reader, "\"facts\" needs \"count\", how many hints follow for it");
    if (count < 0)
        return refuse(reader,
                      "is neither \"guest\", \"hint\", \"facts\", \"gone\" nor \"dropped\"");
    event->count = (guint64)count;
    return 0;
}

static int read_head(const struct reader *reader, JsonObject *object)
{
    gint64 version = number_of(object, "vhint-recording", -1);

    if (version < 1)
        return refuse(reader,
                      "is no recording: its first line is to be {\"vhint-recording\":%d,...}",
                      VH_RECORDING_VERSION);
    if (version > VH_RECORDING_VERSION)
        return refuse(reader,
                      "is a recording of version %" G_GINT64_FORMAT
                      ", this vhintctl reads version %d: use a later one",
                      version, VH_RECORDING_VERSION);
    return 0;
}

static int read_line(const struct reader *reader, const char *line, gsize len)
{
    g_autoptr(GError) bad = NULL;
    g_autoptr(JsonNode) root = NULL;
    struct vh_event *event = NULL;
    gint64 last = 0;

    if (len > VH_RECORDING_LINE_MAX)
        return refuse(reader, "is longer than %u bytes", VH_RECORDING_LINE_MAX);
    root = vh_json_parse(line, len, &bad);
    if (!root)
        return refuse(reader, "%s", bad->message);
    if (reader->line == 1)
        return read_head(reader, vh_json_object(root));
    if (reader->events->len)
        last = ((const struct vh_event *)g_ptr_array_index(reader->events, reader->events->len - 1))
                   ->us;
    event = g_new0(struct vh_event, 1);
    g_ptr_array_add(reader->events, event);
    event->line = reader->line;
    event->json = json_node_ref(root);
    if (read_event(reader, vh_json_object(root), event) < 0)
        return -1;
    event->us = MAX(event->us, last);
    return 0;
}

GPtrArray *vh_recording_read(const char *label, const char *text, gsize len, GError **error)
{
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func(event_free);
    struct reader reader = {.label = label, .events = events, .error = error};
    const char *end = text + len;

    for (const char *at = text; at < end;) {
        const char *newline = memchr(at, '\n', (gsize)(end - at));
        gsize size = (gsize)((newline ? newline : end) - at);

        reader.line++;
        /* What wrote it may have been ended in the middle of a line. */
        if (!newline && reader.line > 1)
            break;
        if (read_line(&reader, at, size) < 0)
            return NULL;
        at += size + 1;
    }
    if (!reader.line) {
        reader.line = 1;
        refuse(&reader, "is empty: no recording");
        return NULL;
    }
    return g_steal_pointer(&events);
}
