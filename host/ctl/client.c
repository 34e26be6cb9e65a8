// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl's side of the control socket: connects, calls, and says what an error means to the user.
#include <gio/gunixsocketaddress.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/bus.h"
#include "ctl/ctl.h"

#define CONNECT_TIMEOUT_S 10u

G_DEFINE_QUARK(vh - ctl - error, vh_ctl_error)

int vh_ctl_exit_code(const GError *error)
{
    if (error->domain == VH_CTL_ERROR)
        return error->code;
    if (error->domain == VH_ERROR &&
        (error->code == VH_ERROR_NO_SUCH_GUEST || error->code == VH_ERROR_NO_SUCH_PROGRAM))
        return VH_EXIT_NOT_FOUND;
    return VH_EXIT_REFUSED;
}

void vh_ctl_print_error_json(const GError *error, int code)
{
    g_autofree char *name = g_dbus_error_encode_gerror(error);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "error");
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "name");
    if (error->domain == VH_CTL_ERROR)
        json_builder_add_null_value(builder);
    else
        json_builder_add_string_value(builder, name);
    json_builder_set_member_name(builder, "message");
    g_autofree char *message = g_utf8_make_valid(error->message, -1);
    json_builder_add_string_value(builder, message);
    json_builder_set_member_name(builder, "exit_code");
    json_builder_add_int_value(builder, code);
    json_builder_end_object(builder);
    json_builder_end_object(builder);
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, FALSE);
    vh_ctl_print_json_text(text);
}

static int unreachable(const struct vh_ctl *ctl, GError **error, const char *why)
{
    g_set_error(error, VH_CTL_ERROR, VH_EXIT_UNREACHABLE, "cannot reach vhintd at %s: %s",
                ctl->socket, why);
    return -1;
}

static const char *connect_advice(const GError *cause)
{
    if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        return "no such file: is vhintd running? (systemctl start vhintd, or --socket PATH)";
    if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
        return "nobody listens there: has vhintd ended? (systemctl start vhintd, or --socket PATH)";
    if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
        return "permission denied: be root or a member of the group vhint";
    return cause->message;
}

static void on_cancelled(G_GNUC_UNUSED GCancellable *cancellable, gpointer data)
{
    g_cancellable_cancel(data);
}

/* The end of patience with a daemon that does not answer. A timeout of the socket's own would go on
 * for the read that GDBus begins by itself, and cut off who waits for an answer, or a hint, for
 * longer. */
struct patience {
    GCancellable *over;
    GAsyncQueue *answers;
    GThread *thread;
};

static gpointer wait_for_answer(gpointer data)
{
    const struct patience *patience = data;

    if (g_async_queue_timeout_pop(patience->answers, CONNECT_TIMEOUT_S * G_USEC_PER_SEC) == NULL)
        g_cancellable_cancel(patience->over);
    return NULL;
}

static void patience_begin(struct patience *patience)
{
    patience->over = g_cancellable_new();
    patience->answers = g_async_queue_new();
    patience->thread = g_thread_new("patience", wait_for_answer, patience);
}

/* Returns whether it was over. */
static bool patience_end(struct patience *patience)
{
    bool over = false;

    g_async_queue_push(patience->answers, patience);
    g_thread_join(patience->thread);
    over = g_cancellable_is_cancelled(patience->over);
    g_async_queue_unref(patience->answers);
    g_object_unref(patience->over);
    return over;
}

static GDBusConnection *connect_until(const char *path, GCancellable *over, char **problem)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnection) stream = NULL;
    GDBusConnection *connection = NULL;

    g_socket_client_set_enable_proxy(client, FALSE);
    stream = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), over, &cause);
    if (stream == NULL) {
        *problem = g_strdup(connect_advice(cause));
        return NULL;
    }
    connection = g_dbus_connection_new_sync(
        G_IO_STREAM(stream), NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, over, NULL);
    if (connection == NULL)
        *problem = g_strdup("it closed the connection: it serves root and members of the group "
                            "vhint, and only so many at a time (its log says why)");
    return connection;
}

int vh_ctl_connect(struct vh_ctl *ctl, GError **error)
{
    struct patience patience = {0};
    g_autofree char *problem = NULL;
    gulong handler = 0;
    bool late = false;

    (void)vh_error_quark(); /* makes the daemon's errors VH_ERRORs here */
    if (strlen(ctl->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return unreachable(ctl, error, "a UNIX socket's path is at most 107 bytes long");

    patience_begin(&patience);
    if (ctl->cancellable)
        handler =
            g_cancellable_connect(ctl->cancellable, G_CALLBACK(on_cancelled), patience.over, NULL);
    ctl->connection = connect_until(ctl->socket, patience.over, &problem);
    if (handler != 0)
        g_cancellable_disconnect(ctl->cancellable, handler);
    late = patience_end(&patience);
    if (ctl->connection)
        return 0;
    return unreachable(ctl, error, late ? "it does not answer" : problem);
}

static GVariant *call(struct vh_ctl *ctl, const char *interface, const char *method,
                      GVariant *parameters, const char *type, int timeout_ms, GUnixFDList **fds,
                      GError **error)
{
    g_autoptr(GError) cause = NULL;
    GVariant *result = g_dbus_connection_call_with_unix_fd_list_sync(
        ctl->connection, NULL, VH_CONTROL_OBJECT, interface, method, parameters,
        G_VARIANT_TYPE(type), G_DBUS_CALL_FLAGS_NONE, timeout_ms, NULL, fds, ctl->cancellable,
        &cause);
    if (result != NULL)
        return result;
    if (g_dbus_error_is_remote_error(cause)) {
        g_dbus_error_strip_remote_error(cause);
        g_propagate_error(error, g_steal_pointer(&cause));
    } else if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
        unreachable(ctl, error, "it does not answer");
    } else if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_CLOSED)) {
        unreachable(ctl, error, "it closed the connection while it was asked");
    } else {
        unreachable(ctl, error, cause->message);
    }
    return NULL;
}

GVariant *vh_ctl_call(struct vh_ctl *ctl, const char *method, GVariant *parameters,
                      const char *type, bool patient, GUnixFDList **fds, GError **error)
{
    return call(ctl, "org.vhint.Manager1", method, parameters, type,
                patient ? G_MAXINT : VH_CTL_TIMEOUT_MS, fds, error);
}

char *vh_ctl_daemon_version(struct vh_ctl *ctl, GError **error)
{
    g_autoptr(GVariant) result = call(ctl, "org.freedesktop.DBus.Properties", "Get",
                                      g_variant_new("(ss)", "org.vhint.Manager1", "Version"), "(v)",
                                      VH_CTL_TIMEOUT_MS, NULL, error);
    if (result == NULL)
        return NULL;
    g_autoptr(GVariant) value = NULL;
    g_variant_get(result, "(v)", &value);
    return g_variant_is_of_type(value, G_VARIANT_TYPE_STRING) ? g_variant_dup_string(value, NULL)
                                                              : g_strdup("?");
}
