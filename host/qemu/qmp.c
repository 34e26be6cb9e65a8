// SPDX-License-Identifier: GPL-2.0-or-later
// Talks QMP to one QEMU.
#include "qemu/qmp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "qemu/awaited.h"
#include "qemu/speaker.h"

#define CLOSED "the monitor's connection was closed"
#define OVERDUE "the monitor has not answered for a minute"
#define OUTPUT_MAX (1u << 20) /* bytes of commands that a monitor may leave unread */

struct VhQmp {
    VhAwaited *awaited;
    gint64 spent; /* us, up to `since` */
    gint64 since; /* that we have been busy with what it has said; 0: we are not */
    const struct vh_qmp_road *road; /* NULL: a connection of its own */

    /* A road: */
    gpointer road_data;
    guint refs;  /* the client's, and one of each command that the road has not answered */
    bool ended;  /* the client's is gone */
    guint stuck; /* commands that nobody waits for any longer, but the road has */

    /* A connection of its own: */
    int fd;
    VhSpeaker *speaker;
    VhTurn *turn;
    VhMember *member; /* NULL: hung up */
    bool greeted;
    bool ready;
    GByteArray *input;
    GByteArray *output;
    GByteArray *held; /* commands that wait for the handshake */
    const struct vh_qmp_funcs *funcs;
    gpointer data;
};

gint64 vh_qmp_spent(const VhQmp *qmp)
{
    return qmp->spent + (qmp->since ? g_get_monotonic_time() - qmp->since : 0);
}

/* Returns whether it was not begun already: a road may answer within a command. */
static bool begin_work(VhQmp *qmp)
{
    if (qmp->since)
        return false;
    qmp->since = g_get_monotonic_time();
    return true;
}

static void end_work(VhQmp *qmp)
{
    qmp->spent = vh_qmp_spent(qmp);
    qmp->since = 0;
}

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

/* ---- a road ---- */

struct road_command {
    VhQmp *qmp;
    gint64 id;
};

static void unref(VhQmp *qmp)
{
    if (--qmp->refs)
        return;
    vh_awaited_free(qmp->awaited);
    g_free(qmp);
}

static void on_road(JsonNode *result, const char *error, gpointer data)
{
    g_autofree struct road_command *command = data;
    VhQmp *qmp = command->qmp;
    bool begun = begin_work(qmp);

    if (!vh_awaited_answer(qmp->awaited, command->id, result, error) && !qmp->ended &&
        --qmp->stuck == 0)
        qmp->road->revived(qmp->road_data);
    if (begun)
        end_work(qmp);
    unref(qmp);
}

static void on_road_overdue(gpointer data)
{
    VhQmp *qmp = data;

    qmp->stuck += vh_awaited_fail(qmp->awaited, OVERDUE);
}

static void take_road(VhQmp *qmp, const char *name, JsonObject *arguments, VhQmpReply reply,
                      gpointer data)
{
    struct road_command *command = g_new0(struct road_command, 1);

    *command = (struct road_command){qmp, vh_awaited_add(qmp->awaited, reply, data)};
    qmp->refs++;
    qmp->road->command(qmp->road_data, name, arguments, on_road, command);
}

static void end_road(VhQmp *qmp)
{
    qmp->ended = true;
    vh_awaited_fail(qmp->awaited, CLOSED);
    qmp->road->free(qmp->road_data);
    unref(qmp);
}

VhQmp *vh_qmp_new_over(const struct vh_qmp_road *road, gpointer data)
{
    VhQmp *qmp = g_new0(VhQmp, 1);

    qmp->refs = 1;
    qmp->road = road;
    qmp->road_data = data;
    qmp->awaited = vh_awaited_new(on_road_overdue, qmp);
    return qmp;
}

/* ---- a connection of its own ---- */

void vh_qmp_free(VhQmp *qmp)
{
    if (!qmp)
        return;
    if (qmp->road) {
        end_road(qmp);
        return;
    }
    g_clear_pointer(&qmp->member, vh_member_leave);
    qmp->ready = false;
    vh_awaited_fail(qmp->awaited, CLOSED);
    vh_awaited_free(qmp->awaited);
    g_byte_array_unref(qmp->input);
    g_byte_array_unref(qmp->output);
    g_byte_array_unref(qmp->held);
    vh_speaker_free(qmp->speaker);
    close(qmp->fd);
    g_free(qmp);
}

static void command(VhQmp *qmp, GByteArray *out, const char *name, JsonObject *arguments,
                    VhQmpReply reply, gpointer data)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autoptr(JsonNode) node = json_node_alloc();
    g_autofree char *text = NULL;

    json_object_set_string_member(object, "execute", name);
    if (arguments)
        json_object_set_object_member(object, "arguments", arguments);
    json_object_set_int_member(object, "id", vh_awaited_add(qmp->awaited, reply, data));
    json_node_init_object(node, object);
    text = json_to_string(node, FALSE);
    if (out == qmp->output)
        put(qmp, text, (guint)strlen(text));
    else
        g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

static bool takes_commands(const VhQmp *qmp)
{
    if (vh_awaited_count(qmp->awaited) + qmp->stuck >= VH_QMP_AWAITED_MAX)
        return false;
    if (qmp->road)
        return !qmp->ended;
    return qmp->member && qmp->output->len + qmp->held->len <= OUTPUT_MAX;
}

void vh_qmp_command(VhQmp *qmp, const char *name, JsonObject *arguments, VhQmpReply reply,
                    gpointer data)
{
    if (!takes_commands(qmp)) {
        if (arguments)
            json_object_unref(arguments);
        if (reply)
            reply(NULL, "the monitor does not take commands", data);
    } else if (qmp->road) {
        take_road(qmp, name, arguments, reply, data);
    } else {
        command(qmp, qmp->ready ? qmp->output : qmp->held, name, arguments, reply, data);
    }
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

const char *vh_qmp_error_text(JsonObject *answer)
{
    return vh_json_member_text(vh_json_member_object(answer, "error"), "desc",
                               "the monitor reports an error without saying which");
}

static void take_object(VhQmp *qmp, JsonObject *object)
{
    const char *name = vh_json_member_text(object, "event", NULL);
    enum vh_qmp_event event = name ? vh_qmp_event_find(name) : VH_QMP_EVENT_COUNT;

    if (vh_json_member(object, "QMP") && !qmp->greeted) {
        qmp->greeted = true;
        command(qmp, qmp->output, "qmp_capabilities", NULL, on_capabilities, qmp);
    } else if (event != VH_QMP_EVENT_COUNT) {
        qmp->funcs->event(event, vh_json_member_object(object, "data"), qmp->data);
    } else if (!name) {
        vh_awaited_answer(qmp->awaited, vh_json_member_int(object, "id", 1, G_MAXINT64, 0),
                          vh_json_member(object, "return"), vh_qmp_error_text(object));
    }
}

/* -1 and an error: the monitor is to be hung up on. */
static int take_line(VhQmp *qmp, const char *line, gsize len, GError **error)
{
    g_autoptr(JsonNode) root = vh_json_parse(line, len, error);

    if (!root) {
        g_prefix_error(error, "what the monitor sent ");
        return -1;
    }
    take_object(qmp, vh_json_object(root));
    return 0;
}

static int take_lines(VhQmp *qmp, gsize searched, GError **error)
{
    gsize start = 0;
    const guint8 *end = NULL;

    while ((end = memchr(qmp->input->data + searched, '\n', qmp->input->len - searched))) {
        gsize stop = (gsize)(end - qmp->input->data);
        gsize len = stop - start;
        int result = 0;

        if (len && qmp->input->data[stop - 1] == '\r')
            len--;
        begin_work(qmp);
        if (len)
            result = take_line(qmp, (const char *)qmp->input->data + start, len, error);
        end_work(qmp);
        if (result < 0)
            return -1;
        start = stop + 1;
        searched = start;
    }
    if (start)
        g_byte_array_remove_range(qmp->input, 0, (guint)start);
    if (qmp->input->len <= VH_QMP_LINE_MAX)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "the monitor sent a line over 1 MiB");
    return -1;
}

static void hang_up(VhQmp *qmp, const char *why)
{
    g_clear_pointer(&qmp->member, vh_member_leave);
    vh_awaited_fail(qmp->awaited, why);
    qmp->funcs->closed(why, qmp->data);
}

static void on_overdue(gpointer data)
{
    hang_up(data, OVERDUE);
}

static void on_readable(VhQmp *qmp)
{
    guint8 *bytes = vh_turn_buffer(qmp->turn);
    g_autoptr(GError) error = NULL;
    ssize_t len = vh_speaker_read(qmp->speaker, qmp->fd, bytes, VH_QMP_TURN, &error);
    gsize before = qmp->input->len;

    if (len < 0 && !error)
        return;
    if (len <= 0) {
        hang_up(qmp, len == 0 ? "the monitor hung up" : error->message);
        return;
    }
    g_byte_array_append(qmp->input, bytes, (guint)len);
    if (take_lines(qmp, before, &error) < 0)
        hang_up(qmp, error->message);
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

VhQmp *vh_qmp_new(VhTurn *turn, int fd, const struct vh_qmp_funcs *funcs, gpointer data)
{
    VhQmp *qmp = g_new0(VhQmp, 1);

    qmp->fd = fd;
    qmp->speaker = vh_speaker_new(fd);
    qmp->funcs = funcs;
    qmp->data = data;
    qmp->input = g_byte_array_new();
    qmp->output = g_byte_array_new();
    qmp->held = g_byte_array_new();
    qmp->awaited = vh_awaited_new(on_overdue, qmp);
    qmp->turn = turn;
    qmp->member = vh_turn_join(turn, fd, EPOLLIN, on_ready, qmp);
    return qmp;
}

void vh_qmp_set_patience(VhQmp *qmp, guint ms)
{
    vh_awaited_set_patience(qmp->awaited, ms);
}

struct vh_thread_id vh_qmp_peer(const VhQmp *qmp)
{
    return qmp->road ? qmp->road->peer(qmp->road_data) : vh_speaker_of(qmp->speaker);
}

bool vh_qmp_has_road(const VhQmp *qmp)
{
    return qmp->road != NULL;
}
