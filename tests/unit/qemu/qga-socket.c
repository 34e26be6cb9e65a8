/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/qemu/qga-socket.c: finds its place in what was said before, and puts up with agents that are
 * none. */
#include <gio/gunixsocketaddress.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "lib/loop.h"
#include "lib/scratch.h"
#include "qemu/qga.h"

/* QEMU's end: says `before`, then a good answer to the greeting, then `after`, once more for each
 * command. */
struct server {
    GSocket *listener;
    const char *before;
    const char *after; /* NULL: hangs up */
    gsize flood;       /* bytes without a line's end, instead of all */
};

static void say(GSocket *socket, const char *text, gsize len)
{
    for (gsize at = 0; at < len;) {
        gssize sent = g_socket_send(socket, text + at, len - at, NULL, NULL);

        if (sent <= 0)
            return; /* the client has had enough */
        at += (gsize)sent;
    }
}

/* The next line, into `line`; false: the client has gone. */
static bool hear(GSocket *socket, char *line, gsize size)
{
    gsize len = 0;

    do {
        if (len + 1 == size || g_socket_receive(socket, line + len, 1, NULL, NULL) <= 0)
            return false;
    } while (line[len++] != '\n');
    line[len] = 0;
    return true;
}

static gpointer serve(gpointer data)
{
    const struct server *server = data;
    g_autoptr(GSocket) socket = g_socket_accept(server->listener, NULL, NULL);
    char line[1000];

    if (server->flood) {
        g_autofree char *flood = g_strnfill(server->flood, 'x');

        say(socket, flood, server->flood);
        hear(socket, line, sizeof(line));
    }
    while (!server->flood && hear(socket, line, sizeof(line))) {
        const char *id = strstr(line, "\"id\":");
        g_autofree char *answer = NULL;

        if (id) {
            g_assert_cmpint((guint8)line[0], ==, 0xff);
            answer = g_strdup_printf("%s\xff{\"return\": %" G_GINT64_FORMAT "}\n", server->before,
                                     g_ascii_strtoll(id + strlen("\"id\":"), NULL, 10));
        } else if (server->after) {
            answer = g_strdup(server->after);
        } else {
            break;
        }
        say(socket, answer, strlen(answer));
    }
    g_socket_close(socket, NULL);
    return NULL;
}

/* What a client does. */
struct client {
    char *result;
    GError *error;
    bool done;
};

static void work(struct vh_qga *agent, gpointer data)
{
    struct client *client = data;
    g_autoptr(JsonNode) node = vh_qga_command(agent, "guest-ping", NULL, &client->error);

    client->result = node ? json_to_string(node, FALSE) : NULL;
}

static void done(gpointer data)
{
    ((struct client *)data)->done = true;
}

static void check(struct server *server, const char *expected, int code, const char *text)
{
    static const struct vh_qga_job job = {.work = work, .done = done};
    char *directory = g_dir_make_tmp("vhint-qga-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "agent", NULL);
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    struct client client = {0};
    GThread *thread = NULL;

    if (server) {
        server->listener = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                        G_SOCKET_PROTOCOL_DEFAULT, NULL);
        g_assert_true(g_socket_bind(server->listener, address, FALSE, NULL));
        g_assert_true(g_socket_listen(server->listener, NULL));
        thread = g_thread_new("server", serve, server);
    }
    vh_qga_use_socket(path, cancellable, &job, &client);
    LOOP_UNTIL(client.done);
    g_assert_cmpstr(client.result, ==, expected);
    g_assert_true(!client.error == !text);
    if (text && (client.error->code != code || !strstr(client.error->message, text)))
        g_error("%d %s", client.error->code, client.error->message);
    g_clear_error(&client.error);
    g_free(client.result);
    if (thread) {
        g_thread_join(thread);
        g_object_unref(server->listener);
    }
    scratch_remove(directory);
}

static void test_answers(void)
{
    check(&(struct server){.before = "", .after = "{\"return\": {}}\n"}, "{}", 0, NULL);
}

/* Lines for others, half ones, and answers to others' greetings. */
static void test_stale(void)
{
    check(
        &(struct server){.before =
                             "ne\": 1}\n{\"return\": 5}\n\xff{\"return\": 77}\n\xff\xffjunk\n{\"re",
                         .after = "{\"return\": {\"a\": 1}}\r\n"},
        "{\"a\":1}", 0, NULL);
}

static void test_refuses(void)
{
    check(&(struct server){.before = "", .after = "{\"error\": {\"desc\": \"no\\nway\"}}\n"}, NULL,
          VH_ERROR_REFUSED, "the guest agent refuses guest-ping: no way");
}

static void test_hangs_up(void)
{
    check(&(struct server){.before = ""}, NULL, VH_ERROR_NOT_CONNECTED,
          "QEMU closed the connection");
}

static void test_floods(void)
{
    check(&(struct server){.flood = 2 * VH_QGA_ANSWER_MAX}, NULL, VH_ERROR_REFUSED, "over 1 MiB");
}

static void test_nobody(void)
{
    check(NULL, NULL, VH_ERROR_NOT_CONNECTED, "No such file");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    (void)vh_error_quark();
    g_test_add_func("/qga-socket/answers", test_answers);
    g_test_add_func("/qga-socket/stale", test_stale);
    g_test_add_func("/qga-socket/refuses", test_refuses);
    g_test_add_func("/qga-socket/hangs-up", test_hangs_up);
    g_test_add_func("/qga-socket/floods", test_floods);
    g_test_add_func("/qga-socket/nobody", test_nobody);
    return g_test_run();
}
