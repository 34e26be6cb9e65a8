/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-monitor.h"

#include <errno.h>
#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/commands.h"
#include "lib/listener.h"

/* What is more than a socket takes is read meanwhile. Who has hung up gets nothing. */
static void put(struct fake_monitor *monitor, const char *text)
{
    for (gsize len = strlen(text); len;) {
        ssize_t done = send(monitor->fd, text, len, MSG_NOSIGNAL);

        if (done < 0 && errno == EPIPE)
            return;
        g_assert_true(done >= 0 || errno == EAGAIN);
        text += MAX(done, 0);
        len -= (gsize)MAX(done, 0);
        if (len)
            g_main_context_iteration(NULL, FALSE);
    }
}

static void put_reply(struct fake_monitor *monitor, const char *id, const char *json)
{
    g_autofree char *text =
        json ? g_strdup_printf("{\"return\": %s, \"id\": %s}\r\n", json, id)
             : g_strdup_printf("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not in this "
                               "machine\"}, \"id\": %s}\r\n",
                               id);

    put(monitor, text);
}

static void take_command(struct fake_monitor *monitor, const char *text, gsize len)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *id = NULL;
    g_autofree char *name = NULL;
    JsonObject *command = NULL;
    const char *path = NULL;

    json_parser_load_from_data(parser, text, (gssize)len, &error);
    g_assert_no_error(error);
    command = json_node_get_object(json_parser_get_root(parser));
    g_free(monitor->last);
    monitor->last = g_strndup(text, len);
    id = g_strdup_printf("%" G_GINT64_FORMAT, json_object_get_int_member(command, "id"));
    if (json_object_has_member(command, "arguments"))
        path = json_object_get_string_member_with_default(
            json_object_get_object_member(command, "arguments"), "path", NULL);
    name = g_strjoin(" ", json_object_get_string_member(command, "execute"), path, NULL);
    g_hash_table_insert(
        monitor->heard, g_strdup(name),
        GUINT_TO_POINTER(GPOINTER_TO_UINT(g_hash_table_lookup(monitor->heard, name)) + 1));
    if (g_hash_table_contains(monitor->withheld, name))
        g_queue_push_tail(monitor->waiting, g_steal_pointer(&id));
    else
        put_reply(monitor, id, g_hash_table_lookup(monitor->replies, name));
}

static void drop_connection(struct fake_monitor *monitor)
{
    g_clear_handle_id(&monitor->reading, g_source_remove);
    if (monitor->fd >= 0)
        close(monitor->fd);
    monitor->fd = -1;
    g_string_truncate(monitor->input, 0);
    g_queue_clear_full(monitor->waiting, g_free);
}

static gboolean on_input(gint fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
    struct fake_monitor *monitor = data;
    char bytes[4096];
    ssize_t len = read(fd, bytes, sizeof(bytes));
    gsize whole = 0;

    if (len < 0 && errno == EAGAIN)
        return G_SOURCE_CONTINUE;
    if (len <= 0) {
        monitor->reading = 0;
        drop_connection(monitor);
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(monitor->input, bytes, len);
    while ((whole = command_length(monitor->input))) {
        take_command(monitor, monitor->input->str, whole);
        g_string_erase(monitor->input, 0, (gssize)whole);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean on_client(gint fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
    struct fake_monitor *monitor = data;

    g_assert_cmpint(monitor->fd, <, 0);
    monitor->fd = listener_accept(fd);
    monitor->reading = g_unix_fd_add(monitor->fd, G_IO_IN | G_IO_HUP, on_input, monitor);
    put(monitor, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
    return G_SOURCE_CONTINUE;
}

void fake_monitor_begin(struct fake_monitor *monitor, const char *directory)
{
    *monitor = (struct fake_monitor){
        .path = g_build_filename(directory, "monitor", NULL),
        .fd = -1,
        .input = g_string_new(NULL),
        .replies = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
        .heard = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .withheld = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .waiting = g_queue_new()};
    monitor->listener = listener_open(monitor->path);
    monitor->accepting = g_unix_fd_add(monitor->listener, G_IO_IN, on_client, monitor);
    fake_monitor_reply(monitor, "qmp_capabilities", "{}");
}

void fake_monitor_end(struct fake_monitor *monitor)
{
    drop_connection(monitor);
    g_clear_handle_id(&monitor->accepting, g_source_remove);
    close(monitor->listener);
    g_string_free(monitor->input, TRUE);
    g_hash_table_unref(monitor->replies);
    g_hash_table_unref(monitor->heard);
    g_hash_table_unref(monitor->withheld);
    g_queue_free(monitor->waiting);
    g_free(monitor->path);
    g_free(monitor->last);
}

void fake_monitor_reply(struct fake_monitor *monitor, const char *command, const char *json)
{
    g_hash_table_remove(monitor->withheld, command);
    g_hash_table_insert(monitor->replies, g_strdup(command), g_strdup(json));
}

void fake_monitor_withhold(struct fake_monitor *monitor, const char *command)
{
    g_hash_table_add(monitor->withheld, g_strdup(command));
}

void fake_monitor_answer(struct fake_monitor *monitor, const char *json)
{
    g_autofree char *id = g_queue_pop_head(monitor->waiting);

    g_assert_nonnull(id);
    put_reply(monitor, id, json);
}

void fake_monitor_event(struct fake_monitor *monitor, const char *name, const char *data)
{
    g_autofree char *text =
        data ? g_strdup_printf("{\"event\": \"%s\", \"data\": %s, \"timestamp\": {}}\r\n", name,
                               data)
             : g_strdup_printf("{\"event\": \"%s\", \"timestamp\": {}}\r\n", name);

    put(monitor, text);
}

guint fake_monitor_heard(struct fake_monitor *monitor, const char *command)
{
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(monitor->heard, command));

    g_hash_table_remove(monitor->heard, command);
    return count;
}

void fake_monitor_hang_up(struct fake_monitor *monitor)
{
    g_assert_cmpint(monitor->fd, >=, 0);
    drop_connection(monitor);
}
