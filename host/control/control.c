/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lets clients in at the control socket, and turns their D-Bus calls into calls of the manager.
 *
 * The listening socket is ours and not a GDBusServer's: that one starts a thread per connection
 * before anybody has asked who is there, and has no limit. Here a peer's credentials and the number
 * of clients are checked in accept, and only then GDBus speaks with it. Answers are queued by GDBus
 * and written by its own thread, so a client that does not read holds up nobody but itself. */
#include "control/control.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "control/calls.h"
#include "io/descriptors.h"
#include "io/listen.h"
#include "io/peer.h"

struct VhControl {
    char *path;
    gid_t group;
    char *guid;
    GSocket *listener;
    guint accept; /* source: a new client, or the end of a pause */
    VhCalls *calls;
    GDBusAuthObserver *observer;
    GPtrArray *clients; /* struct client */
};

struct client {
    VhControl *control;
    GThread *thread;             /* in which it says who it is; NULL once it has */
    GDBusConnection *connection; /* the thread's while there is one */
    GSocketConnection *stream;
    GDBusAuthObserver *observer;
    char *guid;
    GCancellable *cancellable; /* of the authentication */
    GError *error;             /* what it came to, if not to a connection */
    guint timeout;
    pid_t pid;
    uid_t uid;
};

/* ---- clients ---- */

static void client_free(struct client *client)
{
    g_clear_handle_id(&client->timeout, g_source_remove);
    if (client->connection != NULL) {
        g_signal_handlers_disconnect_by_data(client->connection, client);
        g_dbus_connection_close(client->connection, NULL, NULL, NULL);
        g_object_unref(client->connection);
    }
    g_object_unref(client->stream);
    g_object_unref(client->observer);
    g_object_unref(client->cancellable);
    g_clear_error(&client->error);
    g_free(client->guid);
    g_free(client);
}

static void client_drop(struct client *client)
{
    if (client->thread != NULL) {
        g_cancellable_cancel(client->cancellable);
        g_thread_join(client->thread); /* returns at once when cancelled */
        g_idle_remove_by_data(client);
    } else {
        g_dbus_interface_skeleton_unexport_from_connection(
            vh_calls_skeleton(client->control->calls), client->connection);
    }
    client_free(client);
}

static void on_closed(G_GNUC_UNUSED GDBusConnection *connection, G_GNUC_UNUSED gboolean vanished,
                      G_GNUC_UNUSED GError *error, struct client *client)
{
    g_ptr_array_remove_fast(client->control->clients, client);
    client_drop(client);
}

/* Runs in GDBus's own thread. */
static GDBusMessage *on_message(GDBusConnection *connection, GDBusMessage *message,
                                gboolean incoming, G_GNUC_UNUSED gpointer data)
{
    GVariant *body = g_dbus_message_get_body(message);
    if (!incoming || body == NULL || g_variant_get_size(body) <= VH_CONTROL_MESSAGE_MAX)
        return message;
    g_warning("control: a client sent a message of %zu bytes, the limit is %u: cut off",
              g_variant_get_size(body), VH_CONTROL_MESSAGE_MAX);
    g_dbus_connection_close(connection, NULL, NULL, NULL);
    g_object_unref(message);
    return NULL;
}

/* The end of a client's authentication, on the main thread. */
static gboolean on_authenticated(gpointer data)
{
    struct client *client = data;
    g_clear_handle_id(&client->timeout, g_source_remove);
    g_clear_pointer(&client->thread, g_thread_join);
    if (client->connection != NULL) {
        GDBusInterfaceSkeleton *skeleton = vh_calls_skeleton(client->control->calls);
        g_signal_connect(client->connection, "closed", G_CALLBACK(on_closed), client);
        g_dbus_connection_add_filter(client->connection, on_message, NULL, NULL);
        if (g_dbus_interface_skeleton_export(skeleton, client->connection, VH_CONTROL_OBJECT,
                                             &client->error)) {
            g_dbus_connection_start_message_processing(client->connection);
            return G_SOURCE_REMOVE;
        }
    }
    g_warning("control: process %d of user %u did not authenticate: %s", client->pid, client->uid,
              client->error->message);
    g_ptr_array_remove_fast(client->control->clients, client);
    client_free(client);
    return G_SOURCE_REMOVE;
}

/* The thread of one client that says who it is. Not one of GIO's pool: silent clients would use
 * that up. */
static gpointer authenticate(gpointer data)
{
    struct client *client = data;
    client->connection =
        g_dbus_connection_new_sync(G_IO_STREAM(client->stream), client->guid,
                                   G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                                       G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                                   client->observer, client->cancellable, &client->error);
    g_idle_add_full(G_PRIORITY_DEFAULT, on_authenticated, client, NULL);
    return NULL;
}

static gboolean on_auth_timeout(gpointer data)
{
    struct client *client = data;
    client->timeout = 0;
    g_cancellable_cancel(client->cancellable);
    return G_SOURCE_REMOVE;
}

/* Runs in a thread. */
static gboolean on_mechanism(G_GNUC_UNUSED GDBusAuthObserver *observer, const char *mechanism,
                             G_GNUC_UNUSED gpointer data)
{
    return g_str_equal(mechanism, "EXTERNAL");
}

static bool client_admit(VhControl *control, GSocket *socket, struct vh_peer *peer)
{
    int err = vh_peer_read(g_socket_get_fd(socket), peer);
    if (err < 0) {
        g_warning("control: a client refused: cannot tell who it is: %s", g_strerror(-err));
        return false;
    }
    if (!vh_peer_allowed(peer, geteuid(), control->group)) {
        g_warning(
            "control: process %d of user %u refused: neither root nor in the group " VH_PEER_GROUP,
            peer->pid, peer->uid);
        return false;
    }
    if (control->clients->len >= vh_descriptors_clients(VH_CONTROL_CLIENTS_MAX)) {
        g_warning("control: process %d of user %u refused: there are %u clients already, the limit",
                  peer->pid, peer->uid, control->clients->len);
        return false;
    }
    return true;
}

static void client_start(VhControl *control, GSocket *socket, const struct vh_peer *peer)
{
    struct client *client = g_new0(struct client, 1);
    client->control = control;
    client->pid = peer->pid;
    client->uid = peer->uid;
    client->cancellable = g_cancellable_new();
    client->stream = g_socket_connection_factory_create_connection(socket);
    client->observer = g_object_ref(control->observer);
    client->guid = g_strdup(control->guid);
    client->timeout = g_timeout_add_seconds(VH_CONTROL_AUTH_SECONDS, on_auth_timeout, client);
    g_ptr_array_add(control->clients, client);
    g_autoptr(GError) error = NULL;
    client->thread = g_thread_try_new("vhint-auth", authenticate, client, &error);
    if (client->thread != NULL)
        return;
    g_warning("control: process %d of user %u refused: %s", peer->pid, peer->uid, error->message);
    g_ptr_array_remove_fast(control->clients, client);
    client_free(client);
}

static void accept_start(VhControl *control);

static gboolean on_pause_over(gpointer data)
{
    accept_start(data);
    return G_SOURCE_REMOVE;
}

/* Out of file descriptors or memory: the client keeps waiting, and so the main loop must not spin.
 */
static gboolean accept_pause(VhControl *control, const GError *error)
{
    g_warning("control: cannot accept a client: %s: trying again in a second", error->message);
    control->accept = g_timeout_add_seconds(1, on_pause_over, control);
    return G_SOURCE_REMOVE;
}

static gboolean on_accept(GSocket *listener, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
    VhControl *control = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = g_socket_accept(listener, NULL, &error);
    if (socket == NULL) {
        if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
            return accept_pause(control, error);
        return G_SOURCE_CONTINUE;
    }
    struct vh_peer peer = {0};
    if (client_admit(control, socket, &peer))
        client_start(control, socket, &peer);
    vh_peer_clear(&peer);
    return G_SOURCE_CONTINUE;
}

static void accept_start(VhControl *control)
{
    g_autoptr(GSource) source = g_socket_create_source(control->listener, G_IO_IN, NULL);
    g_source_set_callback(source, G_SOURCE_FUNC(on_accept), control, NULL);
    control->accept = g_source_attach(source, NULL);
}

/* ---- life ---- */

VhControl *vh_control_new(VhManager *manager, const char *socket_path, GError **error)
{
    signal(SIGPIPE, SIG_IGN);
    gid_t group = geteuid() == 0 ? vh_peer_group_lookup(VH_PEER_GROUP) : VH_PEER_NO_GROUP;
    g_autoptr(GSocket) listener = vh_listen_unix(socket_path, group, error);
    if (listener == NULL) {
        g_prefix_error(error, "control socket: ");
        return NULL;
    }
    VhControl *control = g_new0(VhControl, 1);
    control->path = g_strdup(socket_path);
    control->group = group;
    control->guid = g_dbus_generate_guid();
    control->clients = g_ptr_array_new();
    control->calls = vh_calls_new(manager);
    control->observer = g_dbus_auth_observer_new();
    g_signal_connect(control->observer, "allow-mechanism", G_CALLBACK(on_mechanism), NULL);
    control->listener = g_steal_pointer(&listener);
    accept_start(control);
    return control;
}

void vh_control_free(VhControl *control)
{
    g_source_remove(control->accept);
    vh_listen_remove(control->path, control->listener);
    g_object_unref(control->listener);
    g_ptr_array_foreach(control->clients, (GFunc)(void (*)(void))client_drop, NULL);
    g_ptr_array_unref(control->clients);
    vh_calls_free(control->calls);
    g_object_unref(control->observer);
    g_free(control->guid);
    g_free(control->path);
    g_free(control);
}
