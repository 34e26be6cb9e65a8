// SPDX-License-Identifier: GPL-2.0-or-later
// Lets clients in at the control socket, on a thread of its own: the control thread.
//
// What costs time here (credentials, D-Bus, text) is that thread's. The hint thread, which has the
// manager, is sent errands (io/errands.h) and sees nothing of clients. Everything in this file runs
// on the control thread but what is said to be another's, and the first and last step of its life.
//
// The listening socket is ours and not a GDBusServer's: that one starts a thread per connection
// before anybody has asked who is there, and has no limit. Here a peer's credentials and the number
// of clients are checked in accept, and only then GDBus speaks with it. Answers are queued by GDBus
// and written by its own thread, so a client that does not read holds up nobody but itself. What
// waits for it is bounded by the number of its calls.
#include "control/control.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "control/calls.h"
#include "control/watches.h"
#include "io/descriptors.h"
#include "io/errands.h"
#include "io/listen.h"
#include "io/peer.h"

struct VhControl {
    char *path;
    gid_t group;
    char *guid;
    GSocket *listener;
    VhManager *manager; /* looked at by the hint thread only */
    VhWatches *watches; /* likewise */
    VhErrands *errands; /* to the hint thread */
    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;

    /* the control thread's */
    GSource *accept; /* a new client, or the end of a pause */
    VhCalls *calls;
    GDBusAuthObserver *observer;
    GPtrArray *clients; /* struct client */
};

struct client {
    VhControl *control;
    GThread *thread; /* in which it says who it is; NULL once it has */
    /* The thread's while there is one, but made here: its signals come where it was made. NULL: it
     * came to nothing. */
    GDBusConnection *connection;
    GSocketConnection *stream;
    GCancellable *cancellable; /* of the authentication */
    GError *error;             /* what it came to, if not to a connection */
    GSource *authenticated;    /* once the thread has ended */
    GSource *timeout;          /* of the authentication */
    pid_t pid;
    uid_t uid;
};

/* ---- sources of the control thread's loop ---- */

/* Takes `source` over, and returns it to be ended with stop(). */
static GSource *start(const VhControl *control, GSource *source, GSourceFunc func, gpointer data)
{
    g_source_set_callback(source, func, data, NULL);
    g_source_attach(source, control->context);
    return source;
}

static void stop(GSource **source)
{
    if (*source)
        g_source_destroy(*source);
    g_clear_pointer(source, g_source_unref);
}

/* ---- clients ---- */

static void client_free(struct client *client)
{
    stop(&client->timeout);
    stop(&client->authenticated);
    if (client->connection != NULL) {
        g_signal_handlers_disconnect_by_data(client->connection, client);
        g_dbus_connection_close(client->connection, NULL, NULL, NULL);
        g_object_unref(client->connection);
    }
    g_object_unref(client->stream);
    g_object_unref(client->cancellable);
    g_clear_error(&client->error);
    g_free(client);
}

/* The thread has said what it came to, or is about to. */
static void client_join(struct client *client)
{
    g_clear_pointer(&client->thread, g_thread_join);
    if (client->error != NULL)
        g_clear_object(&client->connection);
}

static void client_drop(struct client *client)
{
    if (client->thread != NULL) {
        g_cancellable_cancel(client->cancellable); /* which ends it at once */
        client_join(client);
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

/* Adds `more` to the calls of which the answer has not been written yet, and returns their number.
 * In GDBus's own thread only. */
static guint count_calls(GDBusConnection *connection, int more)
{
    guint count =
        GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(connection), "vhint-calls")) + (guint)more;

    g_object_set_data(G_OBJECT(connection), "vhint-calls", GUINT_TO_POINTER(count));
    return count;
}

static GDBusMessage *cut_off(GDBusConnection *connection, GDBusMessage *message)
{
    g_dbus_connection_close(connection, NULL, NULL, NULL);
    g_object_unref(message);
    return NULL;
}

/* Every call is answered, so that the answer ends it. */
static GDBusMessage *expect_answer(GDBusMessage *message)
{
    GDBusMessageFlags flags = g_dbus_message_get_flags(message);
    GDBusMessage *copy =
        flags & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED ? g_dbus_message_copy(message, NULL) : NULL;

    if (!copy)
        return message;
    g_dbus_message_set_flags(copy, flags & ~G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED);
    g_object_unref(message);
    return copy;
}

/* Runs in GDBus's own thread: as a message has been read, and just before one is written, which is
 * once all before it are. */
static GDBusMessage *on_message(GDBusConnection *connection, GDBusMessage *message,
                                gboolean incoming, G_GNUC_UNUSED gpointer data)
{
    GVariant *body = g_dbus_message_get_body(message);
    GDBusMessageType type = g_dbus_message_get_message_type(message);
    guint calls = 0;

    if (!incoming) {
        if (type == G_DBUS_MESSAGE_TYPE_METHOD_RETURN || type == G_DBUS_MESSAGE_TYPE_ERROR)
            count_calls(connection, -1);
        return message;
    }
    if (body != NULL && g_variant_get_size(body) > VH_CONTROL_MESSAGE_MAX) {
        g_warning("control: a client sent a message of %zu bytes, the limit is %u: cut off",
                  g_variant_get_size(body), VH_CONTROL_MESSAGE_MAX);
        return cut_off(connection, message);
    }
    if (type != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
        return message;
    calls = count_calls(connection, 1);
    if (calls <= VH_CONTROL_CALLS_MAX)
        return expect_answer(message);
    if (calls == VH_CONTROL_CALLS_MAX + 1)
        g_warning("control: a client calls, but does not read the answers to %u calls before: cut "
                  "off",
                  VH_CONTROL_CALLS_MAX);
    return cut_off(connection, message);
}

/* The end of a client's authentication. */
static gboolean on_authenticated(gpointer data)
{
    struct client *client = data;
    client_join(client);
    stop(&client->timeout);
    stop(&client->authenticated);
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
    (void)g_initable_init(G_INITABLE(client->connection), client->cancellable, &client->error);
    client->authenticated = g_idle_source_new();
    g_source_set_priority(client->authenticated, G_PRIORITY_DEFAULT);
    start(client->control, client->authenticated, on_authenticated, client);
    return NULL;
}

static gboolean on_auth_timeout(gpointer data)
{
    struct client *client = data;
    stop(&client->timeout);
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
    client->connection = g_object_new(G_TYPE_DBUS_CONNECTION, "stream", client->stream, "guid",
                                      control->guid, "flags",
                                      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                                          G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                                      "authentication-observer", control->observer, NULL);
    client->timeout = start(control, g_timeout_source_new_seconds(VH_CONTROL_AUTH_SECONDS),
                            on_auth_timeout, client);
    g_ptr_array_add(control->clients, client);
    g_autoptr(GError) error = NULL;
    client->thread = g_thread_try_new("vhint-auth", authenticate, client, &error);
    if (client->thread != NULL)
        return;
    g_warning("control: process %d of user %u refused: %s", peer->pid, peer->uid, error->message);
    g_ptr_array_remove_fast(control->clients, client);
    g_clear_object(&client->connection);
    client_free(client);
}

static gboolean on_accept(GSocket *listener, GIOCondition condition, gpointer data);

static void accept_start(VhControl *control)
{
    stop(&control->accept);
    control->accept = start(control, g_socket_create_source(control->listener, G_IO_IN, NULL),
                            G_SOURCE_FUNC(on_accept), control);
}

static gboolean on_pause_over(gpointer data)
{
    accept_start(data);
    return G_SOURCE_REMOVE;
}

/* Out of file descriptors or memory: the client keeps waiting, and so the loop must not spin. */
static gboolean accept_pause(VhControl *control, const GError *error)
{
    g_warning("control: cannot accept a client: %s: trying again in a second", error->message);
    stop(&control->accept);
    control->accept = start(control, g_timeout_source_new_seconds(1), on_pause_over, control);
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

/* ---- life ---- */

static gpointer serve(gpointer data)
{
    VhControl *control = data;

    g_main_context_push_thread_default(control->context);
    control->clients = g_ptr_array_new();
    control->calls = vh_calls_new(control->errands, control->manager, control->watches);
    control->observer = g_dbus_auth_observer_new();
    g_signal_connect(control->observer, "allow-mechanism", G_CALLBACK(on_mechanism), NULL);
    accept_start(control);
    g_main_loop_run(control->loop);
    stop(&control->accept);
    g_ptr_array_foreach(control->clients, (GFunc)(void (*)(void))client_drop, NULL);
    g_ptr_array_unref(control->clients);
    vh_calls_free(control->calls);
    g_object_unref(control->observer);
    g_main_context_pop_thread_default(control->context);
    return NULL;
}

static gboolean on_end(gpointer data)
{
    g_main_loop_quit(((VhControl *)data)->loop);
    return G_SOURCE_REMOVE;
}

/* Runs on the thread whose main context is the default one, as all that follows. */
static void end_thread(VhControl *control)
{
    /* Not g_main_loop_quit(): the thread may not have begun to run its loop yet. */
    GSource *end = start(control, g_idle_source_new(), on_end, control);

    g_source_set_priority(end, G_PRIORITY_DEFAULT);
    g_thread_join(control->thread);
    stop(&end);
}

static void control_free(VhControl *control)
{
    vh_listen_remove(control->path, control->listener);
    g_object_unref(control->listener);
    vh_errands_close(control->errands);
    vh_watches_free(control->watches);
    g_main_loop_unref(control->loop);
    g_main_context_unref(control->context);
    g_free(control->guid);
    g_free(control->path);
    g_free(control);
}

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
    control->listener = g_steal_pointer(&listener);
    control->manager = manager;
    control->watches = vh_watches_new(manager);
    control->context = g_main_context_new();
    control->loop = g_main_loop_new(control->context, FALSE);
    control->errands = vh_errands_new(NULL, control->context);
    control->thread = g_thread_try_new("vhint-control", serve, control, error);
    if (control->thread != NULL)
        return control;
    g_prefix_error(error, "control socket: ");
    control_free(control);
    return NULL;
}

void vh_control_free(VhControl *control)
{
    end_thread(control);
    control_free(control);
}
