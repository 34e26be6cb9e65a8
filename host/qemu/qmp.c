// SPDX-License-Identifier: GPL-2.0-or-later
// Talks QMP to one QEMU.
#include "qemu/qmp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTPUT_MAX (1u << 20) /* bytes of commands that a monitor may leave unread */

struct pending {
    gint64 id;
    VhQmpReply reply;
    gpointer data;
};

struct VhQmp {
    const struct vh_qmp_road
        *road; /* NULL: a connection of its own, and all but road_data is about that */
    gpointer road_data;
    int fd;
    VhTurn *turn;
    VhMember *member; /* NULL: hung up */
    bool greeted;
    bool ready;
    gint64 last_id;
    GByteArray *input;
    GByteArray *output;
    GByteArray *held;   /* commands that wait for the handshake */
    GPtrArray *awaited; /* struct pending, in the order of their commands */
    const struct vh_qmp_funcs *funcs;
    gpointer data;
};

static void on_writable(VhQmp *qmp)
{
    ssize_t done = send(qmp->fd, qmp->output->data, qmp->output->len, MSG_NOSIGNAL);

    /* A broken connection shows on the reading side. */
    if (done < 0 && errno != EAGAIN && errno != EINTR)
        done = (ssize_t)qmp->output->len;
    if (done > 0)
        g_byte_array_remove_range(qmp->output, 0, (guint)done);
    if (!qmp->output->len)
        vh_member_want(qmp->member, EPOLLIN);
}

static void put(VhQmp *qmp, const void *bytes, guint len)
{
    g_byte_array_append(qmp->output, bytes, len);
    if (qmp->member)
        vh_member_want(qmp->member, EPOLLIN | EPOLLOUT);
}

/* Ends the wait of everyone for a reply; some may give new commands meanwhile, which fail too. */
static void fail_all(VhQmp *qmp, const char *why)
{
    while (qmp->awaited->len) {
        struct pending *pending = g_ptr_array_steal_index(qmp->awaited, 0);

        if (pending->reply)
            pending->reply(NULL, why, pending->data);
        g_free(pending);
    }
}

void vh_qmp_free(VhQmp *qmp)
{
    if (!qmp)
        return;
    if (qmp->road) {
        qmp->road->free(qmp->road_data);
        g_free(qmp);
        return;
    }
    g_clear_pointer(&qmp->member, vh_member_leave);
    qmp->ready = false;
    fail_all(qmp, "the monitor's connection was closed");
    g_byte_array_unref(qmp->input);
    g_byte_array_unref(qmp->output);
    g_byte_array_unref(qmp->held);
    g_ptr_array_unref(qmp->awaited);
    close(qmp->fd);
    g_free(qmp);
}

static void command(VhQmp *qmp, GByteArray *out, const char *name, JsonObject *arguments,
                    VhQmpReply reply, gpointer data)
{
    struct pending *pending = g_new0(struct pending, 1);
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(JsonNode) node = json_node_alloc();
    g_autofree char *text = NULL;

    pending->id = ++qmp->last_id;
    pending->reply = reply;
    pending->data = data;
    g_ptr_array_add(qmp->awaited, pending);
    json_object_set_string_member(object, "execute", name);
    if (arguments)
        json_object_set_object_member(object, "arguments", arguments);
    json_object_set_int_member(object, "id", pending->id);
    json_node_init_object(node, object);
    text = json_to_string(node, FALSE);
    if (out == qmp->output)
        put(qmp, text, (guint)strlen(text));
    else
        g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

void vh_qmp_command(VhQmp *qmp, const char *name, JsonObject *arguments, VhQmpReply reply,
                    gpointer data)
{
    if (qmp->road) {
        qmp->road->command(qmp->road_data, name, arguments, reply, data);
        return;
    }
    if (qmp->output->len + qmp->held->len > OUTPUT_MAX || !qmp->member) {
        if (arguments)
            json_object_unref(arguments);
        if (reply)
            reply(NULL, "the monitor does not take commands", data);
        return;
    }
    command(qmp, qmp->ready ? qmp->output : qmp->held, name, arguments, reply, data);
}

static void on_capabilities(JsonNode *result, const char *error, gpointer data)
{
    VhQmp *qmp = data;

    if (!result) {
        if (qmp->member)
            g_warning("QMP handshake: %s", error);
        return;
    }
    qmp->ready = true;
    if (qmp->held->len)
        put(qmp, qmp->held->data, qmp->held->len);
    g_byte_array_set_size(qmp->held, 0);
    qmp->funcs->ready(qmp->data);
}

static void take_reply(VhQmp *qmp, JsonObject *object)
{
    gint64 id = json_object_get_int_member_with_default(object, "id", -1);

    for (guint i = 0; i < qmp->awaited->len; i++) {
        g_autofree struct pending *pending = NULL;
        JsonNode *error = NULL;
        const char *text = "the monitor reports an error without saying which";

        if (((const struct pending *)g_ptr_array_index(qmp->awaited, i))->id != id)
            continue;
        pending = g_ptr_array_steal_index(qmp->awaited, i);
        error = json_object_get_member(object, "error");
        if (error && JSON_NODE_HOLDS_OBJECT(error))
            text = json_object_get_string_member_with_default(json_node_get_object(error), "desc",
                                                              text);
        if (pending->reply)
            pending->reply(json_object_get_member(object, "return"), text, pending->data);
        return;
    }
}

static void take_object(VhQmp *qmp, JsonObject *object)
{
    const char *event = json_object_get_string_member_with_default(object, "event", NULL);
    JsonNode *details = json_object_get_member(object, "data");

    if (json_object_has_member(object, "QMP") && !qmp->greeted) {
        qmp->greeted = true;
        command(qmp, qmp->output, "qmp_capabilities", NULL, on_capabilities, qmp);
    } else if (event) {
        qmp->funcs->event(event,
                          details && JSON_NODE_HOLDS_OBJECT(details) ? json_node_get_object(details)
                                                                     : NULL,
                          qmp->data);
    } else {
        take_reply(qmp, object);
    }
}

/* json-glib's parser recurses, so the depth is bounded before it sees the text. */
static bool too_deep(const char *text, gsize len)
{
    guint depth = 0;
    bool quoted = false;

    for (gsize i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && depth && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > VH_QMP_DEPTH_MAX)
            return true;
    }
    return false;
}

JsonNode *vh_qmp_parse(const char *text, gsize len, const char **problem)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    JsonNode *root = NULL;

    if (too_deep(text, len)) {
        *problem = "the monitor nests JSON too deeply";
        return NULL;
    }
    if (!g_utf8_validate_len(text, len, NULL) ||
        !json_parser_load_from_data(parser, text, (gssize)len, NULL)) {
        *problem = "the monitor sent a line that is not JSON";
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (root && JSON_NODE_HOLDS_OBJECT(root))
        return json_node_ref(root);
    *problem = "the monitor sent something that is not a JSON object";
    return NULL;
}

/* NULL: done; else why the monitor is hung up on. */
static const char *take_line(VhQmp *qmp, const char *line, gsize len)
{
    const char *problem = NULL;
    g_autoptr(JsonNode) root = vh_qmp_parse(line, len, &problem);

    if (root)
        take_object(qmp, json_node_get_object(root));
    return problem;
}

static const char *take_lines(VhQmp *qmp, gsize searched)
{
    gsize start = 0;
    const guint8 *end = NULL;

    while ((end = memchr(qmp->input->data + searched, '\n', qmp->input->len - searched))) {
        gsize stop = (gsize)(end - qmp->input->data);
        gsize len = stop - start;
        const char *problem = NULL;

        if (len && qmp->input->data[stop - 1] == '\r')
            len--;
        problem = len ? take_line(qmp, (const char *)qmp->input->data + start, len) : NULL;
        if (problem)
            return problem;
        start = stop + 1;
        searched = start;
    }
    if (start)
        g_byte_array_remove_range(qmp->input, 0, (guint)start);
    return qmp->input->len > VH_QMP_LINE_MAX ? "the monitor sent a line over 1 MiB" : NULL;
}

static void on_readable(VhQmp *qmp)
{
    guint8 *bytes = vh_turn_buffer(qmp->turn);
    ssize_t len = recv(qmp->fd, bytes, VH_QMP_TURN, 0);
    gsize before = qmp->input->len;
    const char *problem = NULL;

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        problem = len == 0 ? "the monitor hung up" : g_strerror(errno);
    } else {
        g_byte_array_append(qmp->input, bytes, (guint)len);
        problem = take_lines(qmp, before);
    }
    if (!problem)
        return;
    g_clear_pointer(&qmp->member, vh_member_leave);
    fail_all(qmp, problem);
    qmp->funcs->closed(problem, qmp->data);
}

/* What was sent is read in another turn: the client may be freed while it reads. */
static void on_ready(uint32_t ready, gpointer data)
{
    VhQmp *qmp = data;

    if ((ready & EPOLLOUT) && qmp->output->len)
        on_writable(qmp);
    else
        on_readable(qmp);
}

char *vh_qmp_command_text(const char *name, JsonObject *arguments)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(JsonNode) node = json_node_alloc();

    json_object_set_string_member(object, "execute", name);
    if (arguments)
        json_object_set_object_member(object, "arguments", arguments);
    json_node_init_object(node, object);
    return json_to_string(node, FALSE);
}

VhQmp *vh_qmp_new_over(const struct vh_qmp_road *road, gpointer data)
{
    VhQmp *qmp = g_new0(VhQmp, 1);

    qmp->road = road;
    qmp->road_data = data;
    return qmp;
}

VhQmp *vh_qmp_new(VhTurn *turn, int fd, const struct vh_qmp_funcs *funcs, gpointer data)
{
    VhQmp *qmp = g_new0(VhQmp, 1);

    qmp->fd = fd;
    qmp->funcs = funcs;
    qmp->data = data;
    qmp->input = g_byte_array_new();
    qmp->output = g_byte_array_new();
    qmp->held = g_byte_array_new();
    qmp->awaited = g_ptr_array_new_with_free_func(g_free);
    qmp->turn = turn;
    qmp->member = vh_turn_join(turn, fd, EPOLLIN, on_ready, qmp);
    return qmp;
}

struct vh_qmp_peer vh_qmp_peer(const VhQmp *qmp)
{
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);

    if (qmp->road)
        return (struct vh_qmp_peer){.process = qmp->road->peer(qmp->road_data)};
    if (getsockopt(qmp->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return (struct vh_qmp_peer){0};
    return (struct vh_qmp_peer){.user = peer.uid};
}
