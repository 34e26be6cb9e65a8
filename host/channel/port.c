// SPDX-License-Identifier: GPL-2.0-or-later
// Reads and writes one guest's channel socket.
#include "channel/port.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct VhPort {
    int fd;
    VhTurn *turn;
    VhMember *member;
    const struct vh_port_funcs *funcs;
    gpointer data;
    GByteArray *queue;
    bool broken; /* closed is due at the next turn */
    bool busy;   /* a function runs */
    bool freed;  /* by that function: all but the memory */
};

static void want_output(VhPort *port, bool want)
{
    vh_member_want(port->member, want || port->broken ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Writes what the socket takes of `bytes`; a broken socket takes all, and is noticed at the next
 * turn. */
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

/* One turn. Returns without touching the port again once a function has freed it. */
static void on_ready(uint32_t ready, gpointer data)
{
    VhPort *port = data;
    uint8_t *input = vh_turn_buffer(port->turn);

    if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t len = recv(port->fd, input, VH_PORT_TURN, 0);

        if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
            port->funcs->closed(port->data);
            return;
        }
        port->busy = true;
        if (len > 0)
            port->funcs->received(input, (size_t)len, port->data);
        port->busy = false;
        if (port->freed) {
            g_free(port);
            return;
        }
    }
    if (port->broken)
        port->funcs->closed(port->data);
    else if ((ready & EPOLLOUT) && port->queue->len)
        flush_queue(port);
}

VhPort *vh_port_new(VhTurn *turn, int fd, const struct vh_port_funcs *funcs, gpointer data)
{
    VhPort *port = g_new0(VhPort, 1);

    port->fd = fd;
    port->turn = turn;
    port->funcs = funcs;
    port->data = data;
    port->queue = g_byte_array_new();
    port->member = vh_turn_join(turn, fd, EPOLLIN, on_ready, port);
    return port;
}

void vh_port_free(VhPort *port)
{
    if (!port)
        return;
    port->freed = true;
    vh_member_leave(port->member);
    g_byte_array_unref(port->queue);
    close(port->fd);
    if (!port->busy)
        g_free(port);
}

VhMember *vh_port_member(VhPort *port)
{
    return port->member;
}

size_t vh_port_room(const VhPort *port)
{
    return VH_PORT_QUEUE - port->queue->len;
}

void vh_port_send(VhPort *port, const uint8_t *bytes, size_t len)
{
    size_t done = 0;

    g_assert(len <= vh_port_room(port));
    if (port->queue->len == 0)
        done = write_some(port, bytes, len);
    if (done == len)
        return;
    g_byte_array_append(port->queue, bytes + done, (guint)(len - done));
    want_output(port, true);
}
