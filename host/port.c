// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes one guest's channel socket.
#include "port.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct VhPort {
    int fd;
    GSource *source;
    gpointer tag; /* of fd in source */
    const struct vh_port_funcs *funcs;
    gpointer data;
    GByteArray *queue;
    bool broken; /* closed is due at the next turn */
    uint8_t input[VH_PORT_TURN] __attribute__((aligned(8)));
};

struct port_source {
    GSource source;
    VhPort *port;
};

static void want_output(VhPort *port, bool want)
{
    GIOCondition condition = want || port->broken ? G_IO_IN | G_IO_OUT : G_IO_IN;

    g_source_modify_unix_fd(port->source, port->tag, condition);
}

/* Writes what the socket takes of `bytes`; a broken socket takes all, and is noticed at the next turn. */
static size_t write_some(VhPort *port, const uint8_t *bytes, size_t len)
{
    size_t done = 0;

    while (done < len && !port->broken) {
        ssize_t n = send(port->fd, bytes + done, len - done, MSG_NOSIGNAL);

        if (n >= 0) {
            done += (size_t)n;
            continue;
        }
        if (errno == EAGAIN)
            return done;
        if (errno != EINTR) {
            port->broken = true;
            want_output(port, true);
        }
    }
    return len;
}

static void flush_queue(VhPort *port)
{
    size_t done = write_some(port, port->queue->data, port->queue->len);

    g_byte_array_remove_range(port->queue, 0, (guint)done);
    if (port->queue->len)
        return;
    want_output(port, false);
    port->funcs->writable(port->data);
}

/* One turn. Returns without touching the port again once a function that may free it has been called. */
static gboolean on_ready(GSource *source, GSourceFunc callback, gpointer unused)
{
    VhPort *port = ((struct port_source *)source)->port;
    GIOCondition ready = g_source_query_unix_fd(source, port->tag);

    (void)callback;
    (void)unused;
    if (ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
        ssize_t len = recv(port->fd, port->input, sizeof(port->input), 0);

        if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
            port->funcs->closed(port->data);
            return G_SOURCE_CONTINUE;
        }
        if (len > 0) {
            g_source_ref(source);
            port->funcs->received(port->input, (size_t)len, port->data);
            if (g_source_is_destroyed(source)) {
                g_source_unref(source);
                return G_SOURCE_REMOVE;
            }
            g_source_unref(source);
        }
    }
    if (port->broken)
        port->funcs->closed(port->data);
    else if ((ready & G_IO_OUT) && port->queue->len)
        flush_queue(port);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = on_ready};

VhPort *vh_port_new(int fd, const struct vh_port_funcs *funcs, gpointer data)
{
    VhPort *port = g_new0(VhPort, 1);

    port->fd = fd;
    port->funcs = funcs;
    port->data = data;
    port->queue = g_byte_array_new();
    port->source = g_source_new(&source_funcs, sizeof(struct port_source));
    ((struct port_source *)port->source)->port = port;
    g_source_set_name(port->source, "port");
    /* It never does recurse; but a source that may is not taken out of the poll set and put back, with a wake-up
     * of the loop each time, around every dispatch. */
    g_source_set_can_recurse(port->source, TRUE);
    port->tag = g_source_add_unix_fd(port->source, fd, G_IO_IN);
    g_source_attach(port->source, NULL);
    return port;
}

void vh_port_free(VhPort *port)
{
    if (!port)
        return;
    g_source_destroy(port->source);
    g_source_unref(port->source);
    g_byte_array_unref(port->queue);
    close(port->fd);
    g_free(port);
}

size_t vh_port_room(const VhPort *port)
{
    return VH_PORT_QUEUE - port->queue->len;
}

void vh_port_send(VhPort *port, const uint8_t *bytes, size_t len)
{
    size_t done = 0;

    g_return_if_fail(len <= vh_port_room(port));
    if (port->queue->len == 0)
        done = write_some(port, bytes, len);
    if (done == len)
        return;
    g_byte_array_append(port->queue, bytes + done, (guint)(len - done));
    want_output(port, true);
}
