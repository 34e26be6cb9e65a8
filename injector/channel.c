// SPDX-License-Identifier: GPL-2.0-or-later
// The port, from when it appears until it goes: bytes from the host into the session, the session's
// answers out.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "agent.h"
#include "cleanup.h"
#include "identity.h"
#include "port.h"
#include "say.h"

#define PORT_DESCRIPTOR 16384

/* A number above all others. Of a process that is killed the kernel closes the highest first, and
 * detaching programs takes it half a second: the host should hear of the end before that, not
 * after. */
static int raise_fd(int fd)
{
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, PORT_DESCRIPTOR);

    if (raised < 0)
        return fd;
    close(fd);
    return raised;
}

int vh_channel_look(struct vh_agent *in)
{
    const struct vh_options *o = &in->options;
    vh_autoclose int fd = -1;
    int error;

    if (in->port >= 0)
        return 0;
    fd = o->port_path ? vh_port_open(o->port_path) : vh_port_find(o->port_name);
    if (fd == -ENODEV && !o->port_path) {
        if (o->verbose)
            vh_say("no virtio port is called %s yet, waiting for one", o->port_name);
        return 0;
    }
    if (fd == -EBUSY)
        vh_say("port %s is open in another process: does another vhint-injector run? Stop it first",
               o->port_path ? o->port_path : o->port_name);
    else if (fd < 0)
        vh_say("port %s cannot be opened: %s", o->port_path ? o->port_path : o->port_name,
               strerror(-fd));
    if (fd < 0)
        return fd;
    fd = raise_fd(fd);
    error = vh_agent_watch(in, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, SOURCE_PORT);
    if (error)
        return error;
    in->port = vh_take_fd(&fd);
    return 0;
}

static void host_closed(struct vh_agent *in)
{
    if (in->host && in->options.verbose)
        vh_say("the host has closed the channel");
    in->host = false;
    in->readable = false;
    in->in_len = 0;
    vh_session_close(&in->session);
}

/* The port failed or was unplugged; a path that was given is not waited for. */
static void port_lost(struct vh_agent *in, int error)
{
    host_closed(in);
    vh_say("the port has gone: %s", error ? strerror(-error) : "closed by the other side");
    close(in->port);
    in->port = -1;
    in->gone |= in->options.port_path != NULL;
}

/* Throws away what a host left behind that has closed its end. */
static void port_discard(struct vh_agent *in)
{
    ssize_t got;

    do {
        got = read(in->port, in->in, sizeof(in->in));
    } while (got > 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        port_lost(in, -errno);
    else if (got == 0 && in->options.port_path) {
        struct stat node;

        if (fstat(in->port, &node) == 0 && S_ISSOCK(node.st_mode))
            port_lost(in, 0);
    }
}

void vh_channel_on_event(struct vh_agent *in, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
        host_closed(in);
        port_discard(in);
        return;
    }
    in->readable |= (events & EPOLLIN) != 0;
    if (in->host)
        return;
    in->host = true;
    vh_session_open(&in->session, vh_identity_number());
}

void vh_channel_take(struct vh_agent *in)
{
    for (;;) {
        ssize_t got;

        if (in->in_len > 0) {
            size_t taken = vh_session_input(&in->session, in->in + in->in_at, in->in_len);

            in->in_at += (uint32_t)taken;
            in->in_len -= (uint32_t)taken;
            if (in->in_len > 0)
                return;
        }
        if (!in->readable)
            return;
        got = read(in->port, in->in, sizeof(in->in));
        if (got <= 0) {
            in->readable = got < 0 && errno == EINTR;
            if (got < 0 && errno != EAGAIN && errno != EINTR)
                port_lost(in, -errno);
            if (!in->readable)
                return;
            continue;
        }
        in->in_at = 0;
        in->in_len = (uint32_t)got;
    }
}

bool vh_channel_flush(struct vh_agent *in)
{
    bool any = false;

    while (in->host) {
        size_t len;
        const uint8_t *bytes = vh_out_waiting(&in->session.out, &len);
        ssize_t written = len > 0 ? write(in->port, bytes, len) : 0;

        if (written > 0) {
            vh_out_written(&in->session.out, (size_t)written);
            any = true;
        } else if (written == 0 || errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            port_lost(in, -errno);
        }
    }
    return any;
}
