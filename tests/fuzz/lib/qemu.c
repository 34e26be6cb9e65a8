/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/qemu.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "lib/commands.h"
#include "lib/json.h"
#include "machine/tid.h"

#define ASKED_MAX 5000u /* more than VhQmp lets be unanswered */
#define NAME_SIZE 48u

/* A command that has not been answered. */
struct asked {
    gint64 id;
    char name[NAME_SIZE];
    VhQmpReply reply; /* by a road */
    gpointer data;
};

/* What a QEMU says that has nothing against us. %d: this process. */
static const char *const honest[][2] = {
    {"qmp_capabilities", "{}"},
    {"query-status", "{\"status\": \"running\", \"running\": true}"},
    {"query-cpus-fast", "[{\"cpu-index\": 0, \"qom-path\": \"/cpu0\", \"thread-id\": %d}, "
                        "{\"cpu-index\": 1, \"qom-path\": \"/cpu1\", \"thread-id\": %d}]"},
    {"query-iothreads", "[{\"id\": \"io1\", \"thread-id\": %d}]"},
    {"query-kvm", "{\"enabled\": true, \"present\": true}"},
    {"query-memdev", "[{\"id\": \"ram\", \"size\": 1073741824, \"host-nodes\": [0, 1], "
                     "\"policy\": \"bind\"}]"},
    {"qom-list", "[{\"name\": \"hints\", \"type\": \"child<virtserialport>\"}, "
                 "{\"name\": \"agent\", \"type\": \"child<virtserialport>\"}]"},
    {"query-memory-devices",
     "[{\"type\": \"virtio-mem\", \"data\": {\"id\": \"vm0\", \"requested-size\": 0, "
     "\"max-size\": 1073741824, \"block-size\": 2097152}}]"},
    {"query-memory-size-summary", "{\"base-memory\": 1073741824, \"plugged-memory\": 0}"},
    {"query-balloon", "{\"actual\": 536870912}"},
};

static const char *const events[] = {
    "VSERPORT_CHANGE", "RESET",          "SHUTDOWN",        "STOP",          "RESUME",
    "MIGRATION",       "DEVICE_DELETED", "ACPI_DEVICE_OST", "BALLOON_CHANGE"};

/* ---- what it is asked ---- */

static struct asked *at(const struct qemu *qemu, guint i)
{
    return &g_array_index(qemu->asked, struct asked, i);
}

static void note(struct qemu *qemu, const struct asked *asked)
{
    g_assert(qemu->asked->len < ASKED_MAX);
    g_array_append_val(qemu->asked, *asked);
}

static void give_command(gpointer data, const char *name, JsonObject *arguments, VhQmpReply reply,
                         gpointer reply_data)
{
    struct asked asked = {.reply = reply, .data = reply_data};

    if (arguments)
        json_object_unref(arguments);
    g_strlcpy(asked.name, name, sizeof(asked.name));
    note(data, &asked);
}

static struct vh_thread_id process_of(G_GNUC_UNUSED gpointer data)
{
    struct vh_thread_id id = {0};

    (void)vh_tid_identify("/proc", getpid(), getpid(), &id);
    return id;
}

static void revive(gpointer data)
{
    struct qemu *qemu = data;

    qemu->funcs->ready(qemu->data);
}

static void leave(gpointer data)
{
    ((struct qemu *)data)->funcs = NULL;
}

static const struct vh_qmp_road road = {
    .command = give_command, .peer = process_of, .revived = revive, .free = leave};

static struct VhQmp *open_monitor(const struct vh_config_guest *guest,
                                  const struct vh_qmp_funcs *funcs, void *data)
{
    struct qemu *qemu = guest->owner;

    qemu->funcs = funcs;
    qemu->data = data;
    return vh_qmp_new_over(&road, qemu);
}

static void set_memory(const struct vh_config_guest *guest, G_GNUC_UNUSED const char *name,
                       G_GNUC_UNUSED guint64 bytes,
                       G_GNUC_UNUSED void (*done)(const char *problem, void *data), void *data)
{
    struct qemu *qemu = guest->owner;
    struct asked asked = {.name = "set-memory", .data = data};

    g_assert(qemu->funcs && done);
    asked.reply = (VhQmpReply)(void (*)(void))done;
    note(qemu, &asked);
}

const struct vh_maker qemu_maker = {.open_monitor = open_monitor, .set_memory = set_memory};

static void take_command(struct qemu *qemu, const char *text, gsize len)
{
    g_autofree char *copy = g_strndup(text, len);
    const char *name = strstr(copy, "\"execute\":\"");
    const char *id = g_strrstr(copy, "\"id\":");
    struct asked asked = {0};

    g_assert(name && id);
    name += strlen("\"execute\":\"");
    g_strlcpy(asked.name, name, MIN(strcspn(name, "\"") + 1, sizeof(asked.name)));
    asked.id = g_ascii_strtoll(id + strlen("\"id\":"), NULL, 10);
    note(qemu, &asked);
}

void qemu_hear(struct qemu *qemu)
{
    char bytes[4096];
    ssize_t len;
    gsize whole;

    while (qemu->fd >= 0 && !qemu->deaf && (len = recv(qemu->fd, bytes, sizeof(bytes), 0)) > 0)
        g_string_append_len(qemu->input, bytes, len);
    while ((whole = command_length(qemu->input))) {
        take_command(qemu, qemu->input->str, whole);
        g_string_erase(qemu->input, 0, (gssize)whole);
    }
}

/* ---- what it says ---- */

static void put(struct qemu *qemu, const char *text, gsize len)
{
    if (qemu->fd >= 0)
        (void)!send(qemu->fd, text, len, MSG_NOSIGNAL);
}

/* `answer` has the member `return`, or `error`, or neither. */
static void give_answer(const struct asked *asked, const char *answer)
{
    g_autoptr(JsonNode) node = vh_json_parse(answer, strlen(answer), NULL);
    JsonObject *object = vh_json_object(node);

    if (g_str_equal(asked->name, "set-memory"))
        ((void (*)(const char *, void *))(void (*)(void))asked->reply)(
            object ? NULL : "the script says so", asked->data);
    else
        asked->reply(vh_json_member(object, "return"),
                     object ? vh_qmp_error_text(object) : "no object", asked->data);
}

static void answer(struct qemu *qemu, guint which, const char *kind, const char *value)
{
    const struct asked asked = *at(qemu, which);
    g_autofree char *text = NULL;

    g_array_remove_index(qemu->asked, which);
    text = g_strdup_printf("{\"%s\": %s, \"id\": %" G_GINT64_FORMAT "}\r\n", kind, value, asked.id);
    if (asked.reply)
        give_answer(&asked, text);
    else
        put(qemu, text, strlen(text));
}

static void answer_honestly(struct qemu *qemu, guint which)
{
    const char *name = at(qemu, which)->name;
    const char *value = "7";

    for (gsize i = 0; i < G_N_ELEMENTS(honest); i++)
        if (g_str_equal(honest[i][0], name))
            value = honest[i][1];
    {
        g_auto(GStrv) parts = g_strsplit(value, "%d", -1);
        g_autofree char *process = g_strdup_printf("%d", (int)getpid());
        g_autofree char *text = g_strjoinv(process, parts);

        answer(qemu, which, "return", text);
    }
}

static void tell(struct qemu *qemu, struct script *script)
{
    const char *name = events[script_byte(script) % G_N_ELEMENTS(events)];
    g_autoptr(GString) details = g_string_new(NULL);
    g_autofree char *text = NULL;

    json_make(details, script);
    text = g_strdup_printf("{\"event\": \"%s\", \"data\": %s}\r\n", name, details->str);
    if (!qemu->over) {
        put(qemu, text, strlen(text));
    } else if (qemu->funcs) {
        g_autoptr(JsonNode) node = vh_json_parse(details->str, details->len, NULL);

        qemu->funcs->event(name, vh_json_object(node), qemu->data);
    }
}

static void say_line(struct qemu *qemu, struct script *script)
{
    size_t len = script_byte(script);
    const uint8_t *bytes = script_bytes(script, &len);

    put(qemu, (const char *)bytes, len);
    put(qemu, "\n", 1);
}

static void greet(struct qemu *qemu)
{
    static const char greeting[] = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";

    if (!qemu->over)
        put(qemu, greeting, strlen(greeting));
    else if (qemu->funcs)
        qemu->funcs->ready(qemu->data);
}

void qemu_say(struct qemu *qemu, struct script *script)
{
    uint8_t what = script_byte(script);
    guint which = what >= 128 && qemu->asked->len ? script_byte(script) % qemu->asked->len : 0;
    g_autoptr(GString) value = g_string_new(NULL);

    if (what % 8 < 4 && !qemu->asked->len)
        return;
    switch (what % 8) {
    case 0:
        answer_honestly(qemu, which);
        break;
    case 1:
    case 2:
        json_make(value, script);
        answer(qemu, which, "return", value->str);
        break;
    case 3:
        json_make(value, script);
        answer(qemu, which, "error", value->str);
        break;
    case 4:
        tell(qemu, script);
        break;
    case 5:
        say_line(qemu, script);
        break;
    case 6:
        while (qemu->asked->len)
            answer_honestly(qemu, 0);
        break;
    default:
        greet(qemu);
    }
}

/* ---- its life ---- */

void qemu_begin(struct qemu *qemu, bool over)
{
    *qemu = (struct qemu){.over = over,
                          .fd = -1,
                          .input = g_string_new(NULL),
                          .asked = g_array_new(FALSE, FALSE, sizeof(struct asked))};
}

void qemu_end(struct qemu *qemu)
{
    g_assert(!qemu->funcs);
    while (qemu->over && qemu->asked->len)
        answer(qemu, 0, "error", "{}");
    if (qemu->fd >= 0)
        close(qemu->fd);
    g_string_free(qemu->input, TRUE);
    g_array_unref(qemu->asked);
}

void qemu_connect(struct qemu *qemu)
{
    int fds[2];

    if (qemu->over || qemu->fd >= 0 || qemu->guest->monitor)
        return;
    g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    qemu->fd = fds[0];
    g_array_set_size(qemu->asked, 0);
    g_string_truncate(qemu->input, 0);
    vh_guest_on_monitor(fds[1], qemu->guest);
}

void qemu_hang_up(struct qemu *qemu)
{
    if (qemu->fd >= 0)
        close(qemu->fd);
    qemu->fd = -1;
}
