// SPDX-License-Identifier: GPL-2.0-or-later
// Takes the calls of vhint-libvirt-hook.
#include "hook/port.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/listen.h"
#include "io/peer.h"

#define BACKLOG \
    1024 /* a host may start hundreds of guests at once; the kernel cuts it to net.core.somaxconn \
          */
#define ACCEPT_PAUSE_MS 1000

struct VhHookPort {
    char *path;
    GSocket *listener;
    guint source; /* 0: enough calls are under way, or no descriptor was free */
    guint timer;  /* until accepting is tried again; 0: none */
    GPtrArray *calls;
    VhHookFunc func;
    gpointer data;
};

/* One connection. */
struct call {
    VhHookPort *port;
    int fd;
    guint source;
    guint timer;
    GByteArray *bytes;
};

static void resume_accepting(VhHookPort *port);

static void call_free(gpointer data)
{
    struct call *call = data;

    g_source_remove(call->source);
    g_source_remove(call->timer);
    g_byte_array_unref(call->bytes);
    close(call->fd);
    g_free(call);
}

static void end_call(struct call *call, const char *problem)
{
    VhHookPort *port = call->port;

    if (problem)
        g_warning("libvirt hook: dropped a call: %s", problem);
    g_ptr_array_remove_fast(port->calls, call);
    resume_accepting(port);
}

/* The bytes of the whole message, 0: not known yet, -1: nonsense. */
static gssize wanted(const GByteArray *bytes)
{
    struct vh_hook_header header;
    gsize all = sizeof(header);

    if (bytes->len < sizeof(header))
        return 0;
    memcpy(&header, bytes->data, sizeof(header));
    if (header.magic != VH_HOOK_MAGIC || header.xml_len > VH_HOOK_XML_MAX)
        return -1;
    for (int i = 0; i < VH_HOOK_TEXTS; i++) {
        if (header.text_len[i] > VH_HOOK_TEXT_MAX)
            return -1;
        all += header.text_len[i];
    }
    return (gssize)(all + header.xml_len);
}

/* Hands a whole message on. NULL, or what is wrong with it. */
static const char *deliver(const VhHookPort *port, const GByteArray *bytes)
{
    struct vh_hook_header header;
    g_auto(GStrv) texts = g_new0(char *, VH_HOOK_TEXTS + 1);
    const char *at = (const char *)bytes->data + sizeof(header);
    const char *problem = NULL;

    memcpy(&header, bytes->data, sizeof(header));
    for (int i = 0; i < VH_HOOK_TEXTS; i++) {
        if (!g_utf8_validate_len(at, header.text_len[i], NULL))
            problem = "an argument is not UTF-8";
        texts[i] = g_strndup(at, header.text_len[i]);
        at += header.text_len[i];
    }
    if (!problem && !texts[VH_HOOK_GUEST][0])
        problem = "it names no guest";
    if (!problem) {
        g_autoptr(GBytes) xml = g_bytes_new(at, header.xml_len);
        const struct vh_hook_call call = {.guest = texts[VH_HOOK_GUEST],
                                          .operation = texts[VH_HOOK_OPERATION],
                                          .xml = xml,
                                          .flags = header.flags};

        port->func(&call, port->data);
    }
    return problem;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    struct call *call = data;
    guint8 buffer[VH_HOOK_TURN];
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    gssize all;

    (void)condition;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0) {
        end_call(call, "it ended early");
        return G_SOURCE_CONTINUE; /* the source is gone already */
    }
    g_byte_array_append(call->bytes, buffer, (guint)n);
    all = wanted(call->bytes);
    if (all < 0 || (all > 0 && call->bytes->len > (gsize)all))
        end_call(call, "it is not from this version's vhint-libvirt-hook");
    else if (all > 0 && call->bytes->len == (gsize)all)
        end_call(call, deliver(call->port, call->bytes));
    return G_SOURCE_CONTINUE;
}

static gboolean on_timeout(gpointer data)
{
    end_call(data, "it was not finished in time");
    return G_SOURCE_CONTINUE;
}

static bool allowed(int fd)
{
    struct vh_peer peer;
    bool yes;

    if (vh_peer_read(fd, &peer))
        return false;
    yes = vh_peer_allowed(&peer, geteuid(), VH_PEER_NO_GROUP);
    vh_peer_clear(&peer);
    return yes;
}

static gboolean on_pause_end(gpointer data)
{
    VhHookPort *port = data;

    port->timer = 0;
    resume_accepting(port);
    return G_SOURCE_REMOVE;
}

static gboolean on_connection(gint listener, GIOCondition condition, gpointer data)
{
    VhHookPort *port = data;
    struct call *call;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)condition;
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        /* The connection stays in the queue, so trying at once would spin. */
        g_warning("libvirt hook: cannot accept a call: %s", g_strerror(errno));
        port->timer = g_timeout_add(ACCEPT_PAUSE_MS, on_pause_end, port);
        port->source = 0;
        return G_SOURCE_REMOVE;
    }
    if (fd < 0)
        return G_SOURCE_CONTINUE;
    if (!allowed(fd)) {
        g_warning("libvirt hook: refused a call: neither root nor vhintd's own user made it");
        close(fd);
        return G_SOURCE_CONTINUE;
    }
    call = g_new0(struct call, 1);
    call->port = port;
    call->fd = fd;
    call->bytes = g_byte_array_new();
    call->source = g_unix_fd_add(fd, G_IO_IN, on_readable, call);
    call->timer = g_timeout_add(VH_HOOK_CALL_TIMEOUT_MS, on_timeout, call);
    g_ptr_array_add(port->calls, call);
    if (port->calls->len < VH_HOOK_CALLS_MAX)
        return G_SOURCE_CONTINUE;
    port->source = 0;
    return G_SOURCE_REMOVE;
}

static void resume_accepting(VhHookPort *port)
{
    if (!port->source && !port->timer && port->calls->len < VH_HOOK_CALLS_MAX)
        port->source = g_unix_fd_add(g_socket_get_fd(port->listener), G_IO_IN, on_connection, port);
}

VhHookPort *vh_hook_port_new(const char *path, VhHookFunc func, gpointer data, GError **error)
{
    g_autoptr(GSocket) listener = vh_listen_unix(path, VH_PEER_NO_GROUP, error);
    VhHookPort *port;

    if (!listener)
        return NULL;
    if (listen(g_socket_get_fd(listener), BACKLOG)) /* a second call only lengthens the queue */
        g_warning("libvirt hook: cannot lengthen the queue of %s: %s", path, g_strerror(errno));
    port = g_new0(VhHookPort, 1);
    port->path = g_strdup(path);
    port->listener = g_steal_pointer(&listener);
    port->calls = g_ptr_array_new_with_free_func(call_free);
    port->func = func;
    port->data = data;
    resume_accepting(port);
    return port;
}

void vh_hook_port_free(VhHookPort *port)
{
    if (!port)
        return;
    g_clear_handle_id(&port->source, g_source_remove);
    g_clear_handle_id(&port->timer, g_source_remove);
    g_ptr_array_unref(port->calls);
    vh_listen_remove(port->path, port->listener);
    g_object_unref(port->listener);
    g_free(port->path);
    g_free(port);
}
