// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds one reader of hints through a pipe without ever waiting for it.
//
// Lines are written at once while the pipe has room. Then they are kept, up to
// VH_WATCH_PENDING_MAX, and the main loop tells when the pipe has room again. Beyond that they are
// dropped and counted. From the first drop on nothing is accepted until all that is kept is
// written, so the line that tells the count stands exactly where the lost lines would have been. A
// reader that has gone is seen as POLLERR on the pipe: no timer, no probing.
#include "control/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdbool.h>
#include <unistd.h>

struct VhWatch {
    int fd;
    VhWatchClosed closed;
    gpointer data;
    GByteArray *pending; /* the part before `sent` is written already */
    gsize sent;
    guint64 dropped; /* lines since the last {"dropped":N} */
    guint source;
    bool wants_room; /* the source waits for G_IO_OUT too */
};

static gboolean on_pipe(int fd, GIOCondition condition, gpointer data);

static void watch_poll(VhWatch *watch, bool wants_room)
{
    if (watch->source != 0 && watch->wants_room == wants_room)
        return;
    g_clear_handle_id(&watch->source, g_source_remove);
    watch->wants_room = wants_room;
    watch->source =
        g_unix_fd_add(watch->fd, G_IO_ERR | G_IO_HUP | (wants_room ? G_IO_OUT : 0), on_pipe, watch);
}

VhWatch *vh_watch_new(VhWatchClosed closed, gpointer data, int *read_fd, GError **error)
{
    int fds[2];
    if (!g_unix_open_pipe(fds, FD_CLOEXEC, error))
        return NULL;
    if (!g_unix_set_fd_nonblocking(fds[1], TRUE, error)) {
        close(fds[0]);
        close(fds[1]);
        return NULL;
    }
    VhWatch *watch = g_new0(VhWatch, 1);
    watch->fd = fds[1];
    watch->closed = closed;
    watch->data = data;
    watch->pending = g_byte_array_new();
    watch_poll(watch, false);
    *read_fd = fds[0];
    return watch;
}

void vh_watch_free(VhWatch *watch)
{
    g_clear_handle_id(&watch->source, g_source_remove);
    close(watch->fd);
    g_byte_array_unref(watch->pending);
    g_free(watch);
}

/* Writes what the pipe takes. Errors other than a full pipe are left to on_pipe, which is told of
 * them too. */
static void watch_flush(VhWatch *watch)
{
    while (watch->sent < watch->pending->len) {
        ssize_t n =
            write(watch->fd, watch->pending->data + watch->sent, watch->pending->len - watch->sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        watch->sent += (gsize)n;
    }
    if (watch->sent == watch->pending->len) {
        g_byte_array_set_size(watch->pending, 0);
        watch->sent = 0;
    }
}

static void watch_settle(VhWatch *watch)
{
    watch_flush(watch);
    if (watch->dropped > 0 && watch->pending->len == 0) {
        char told[48];
        int len = g_snprintf(told, sizeof(told), "{\"dropped\":%" PRIu64 "}\n", watch->dropped);
        g_byte_array_append(watch->pending, (const guint8 *)told, (guint)len);
        watch->dropped = 0;
        watch_flush(watch);
    }
    watch_poll(watch, watch->pending->len > 0);
}

void vh_watch_line(VhWatch *watch, const char *line, gsize len)
{
    if (watch->dropped > 0 || len >= VH_WATCH_PENDING_MAX ||
        watch->pending->len - watch->sent + len + 1 > VH_WATCH_PENDING_MAX) {
        watch->dropped++;
    } else {
        if (watch->sent > VH_WATCH_PENDING_MAX / 2) {
            g_byte_array_remove_range(watch->pending, 0, (guint)watch->sent);
            watch->sent = 0;
        }
        g_byte_array_append(watch->pending, (const guint8 *)line, (guint)len);
        g_byte_array_append(watch->pending, (const guint8 *)"\n", 1);
    }
    /* A full pipe is not tried again for every line: the main loop tells when it has room. */
    if (!watch->wants_room)
        watch_settle(watch);
}

static gboolean on_pipe(G_GNUC_UNUSED int fd, GIOCondition condition, gpointer data)
{
    VhWatch *watch = data;
    if (condition & (G_IO_ERR | G_IO_HUP)) {
        watch->source = 0;
        watch->closed(watch, watch->data);
        return G_SOURCE_REMOVE;
    }
    watch_settle(watch); /* may have replaced this source: then what is returned does not matter */
    return G_SOURCE_CONTINUE;
}
