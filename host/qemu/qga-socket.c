// SPDX-License-Identifier: GPL-2.0-or-later
// Reaches a guest agent by a UNIX socket of QEMU's.
#include <gio/gunixsocketaddress.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "qemu/qga.h"
#include "qemu/qmp.h"

#define SENTINEL '\xff'

/* A job, and its connection. */
struct road {
    char *path;
    GSocket *socket;   /* NULL: not connected */
    GByteArray *input; /* what came behind the last line */
    GCancellable *cancellable;
    const struct vh_qga_job *job;
    gpointer data;
};

static void road_free(gpointer data)
{
    struct road *road = data;

    g_clear_object(&road->socket);
    g_byte_array_unref(road->input);
    g_clear_object(&road->cancellable);
    g_free(road->path);
    g_free(road);
}

/* Takes `cause`. */
static void fail(const struct road *road, const char *doing, GError *cause, GError **error)
{
    bool silent = g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);

    g_assert(cause);
    if (cause->domain == VH_ERROR)
        g_propagate_error(error, cause);
    else
        g_set_error(error, VH_ERROR, silent ? VH_ERROR_TIMED_OUT : VH_ERROR_NOT_CONNECTED,
                    "the guest agent at %s: %s: %s", road->path, doing,
                    silent ? "it does not answer" : cause->message);
    if (cause->domain != VH_ERROR)
        g_error_free(cause);
}

static int send_line(const struct road *road, const char *text, gsize len, GError **error)
{
    gsize at = 0;

    while (at < len) {
        gssize sent = g_socket_send(road->socket, text + at, len - at, road->cancellable, error);

        if (sent < 0)
            return -1;
        at += (gsize)sent;
    }
    return 0;
}

/* The next line, without its end. NULL and an error. */
static char *read_line(const struct road *road, gint64 end, GError **error)
{
    guint searched = 0;

    for (;;) {
        char bytes[4096];
        gssize len = 0;
        guint left = road->input->len - searched;
        const guint8 *stop = left ? memchr(road->input->data + searched, '\n', left) : NULL;

        if (stop) {
            gsize size = (gsize)(stop - road->input->data);
            char *line = g_strndup((const char *)road->input->data, size);

            g_byte_array_remove_range(road->input, 0, (guint)size + 1);
            return line;
        }
        searched = road->input->len;
        if (searched > VH_QGA_ANSWER_MAX) {
            g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                        "the guest agent's answer is over 1 MiB");
            return NULL;
        }
        if (g_get_monotonic_time() > end) {
            g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "");
            return NULL;
        }
        len = g_socket_receive(road->socket, bytes, sizeof(bytes), road->cancellable, error);
        if (len < 0)
            return NULL;
        if (len == 0) {
            g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "QEMU closed the connection");
            return NULL;
        }
        g_byte_array_append(road->input, (const guint8 *)bytes, (guint)len);
    }
}

/* Passes over all that was said before: to others, or by an agent that was silent for too long. */
static int synchronize(const struct road *road, gint64 end, GError **error)
{
    guint32 id = g_random_int();
    g_autofree char *text = g_strdup_printf(
        "%c{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%u}}\n", SENTINEL, id);

    if (send_line(road, text, strlen(text), error) < 0)
        return -1;
    for (;;) {
        g_autofree char *line = read_line(road, end, error);
        const char *answer = line ? strrchr(line, SENTINEL) : NULL;
        g_autoptr(JsonNode) node =
            answer ? vh_json_parse(answer + 1, strlen(answer + 1), NULL) : NULL;

        if (!line)
            return -1;
        if (vh_json_member_int(vh_json_object(node), "return", 0, G_MAXUINT32, -1) == id)
            return 0;
    }
}

static gint64 after(int seconds)
{
    return g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
}

static int open_road(struct road *road, int seconds, GError **error)
{
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(road->path);

    road->socket =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
    if (!road->socket)
        return -1;
    g_socket_set_timeout(road->socket, (guint)seconds);
    if (!g_socket_connect(road->socket, address, road->cancellable, error))
        return -1;
    return synchronize(road, after(seconds), error);
}

static char *call(const struct vh_qga *agent, const char *command, int seconds, GError **error)
{
    struct road *road = agent->road;
    g_autofree char *text = g_strconcat(command, "\n", NULL);
    char *answer = NULL;
    GError *cause = NULL;

    if (!road->socket && open_road(road, MIN(seconds, VH_QGA_SYNC_SECONDS), &cause) < 0) {
        fail(road, "connecting", cause, error);
        g_clear_object(&road->socket);
        return NULL;
    }
    g_socket_set_timeout(road->socket, (guint)seconds);
    answer = send_line(road, text, strlen(text), &cause) == 0
                 ? read_line(road, after(seconds), &cause)
                 : NULL;
    if (answer)
        return answer;
    fail(road, "asking", cause, error);
    g_clear_object(&road->socket); /* a late answer would be taken for another's */
    g_byte_array_set_size(road->input, 0);
    return NULL;
}

static void work(G_GNUC_UNUSED GTask *task, G_GNUC_UNUSED gpointer source, gpointer data,
                 G_GNUC_UNUSED GCancellable *cancellable)
{
    struct road *road = data;
    struct vh_qga agent = {.call = call, .road = road, .cancellable = road->cancellable};

    road->job->work(&agent, road->data);
}

static void on_done(G_GNUC_UNUSED GObject *source, GAsyncResult *result,
                    G_GNUC_UNUSED gpointer data)
{
    const struct road *road = g_task_get_task_data(G_TASK(result));

    road->job->done(road->data);
}

void vh_qga_use_socket(const char *path, GCancellable *cancellable, const struct vh_qga_job *job,
                       gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, on_done, NULL);
    struct road *road = g_new0(struct road, 1);

    road->path = g_strdup(path);
    road->input = g_byte_array_new();
    road->cancellable = g_object_ref(cancellable);
    road->job = job;
    road->data = data;
    g_task_set_task_data(task, road, road_free);
    g_task_run_in_thread(task, work);
}
