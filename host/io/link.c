// SPDX-License-Identifier: GPL-2.0-or-later
// Connects to a UNIX socket as soon as there is one.
#include "io/link.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/backoff.h"
#include "io/descriptors.h"

struct VhLink {
    VhPathWatch *watch;
    char *path;
    VhLinkFunc connected;
    gpointer data;
    guint awaiting; /* path watch, 0: not seeking */
    guint timer;    /* 0: none */
    guint tries;
    gint64 connected_at; /* us; 0: never yet */
    guint short_lived;   /* connections in a row that did not last */
    char *problem;
};

static void attempt(VhLink *link);

VhLink *vh_link_new(VhPathWatch *watch, const char *path, VhLinkFunc connected, gpointer data)
{
    VhLink *link = g_new0(VhLink, 1);

    link->watch = watch;
    link->path = g_strdup(path);
    link->connected = connected;
    link->data = data;
    link->problem = g_strdup("not looked for yet");
    return link;
}

static void stop(VhLink *link)
{
    if (link->timer)
        g_source_remove(link->timer);
    if (link->awaiting)
        vh_path_watch_remove(link->watch, link->awaiting);
    link->timer = 0;
    link->awaiting = 0;
}

void vh_link_free(VhLink *link)
{
    if (!link)
        return;
    stop(link);
    g_free(link->path);
    g_free(link->problem);
    g_free(link);
}

int vh_link_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = vh_descriptors_take(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));

    if (fd < 0)
        return -errno;
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = errno;

        close(fd);
        return -error;
    }
    return fd;
}

char *vh_link_text(const char *path, int number)
{
    return g_strdup_printf(
        "%s: %s", path,
        number == EAGAIN ? "another client is connected to it, and vhintd must be its only one"
                         : g_strerror(number));
}

static guint backoff(guint tries)
{
    return vh_backoff(tries, VH_LINK_DELAY_MIN, VH_LINK_DELAY_MAX);
}

static gboolean on_timer(gpointer data)
{
    VhLink *link = data;

    link->timer = 0;
    attempt(link);
    return G_SOURCE_REMOVE;
}

/* Somebody else is connected to it, or it is we who lack something: that passes, and nothing tells
 * when. */
static bool passes(int error)
{
    return error == EAGAIN || error == EMFILE || error == ENFILE || error == ENOMEM ||
           error == ENOBUFS;
}

static void retry_later(VhLink *link, int error)
{
    guint delay = passes(error) ? VH_LINK_DELAY_MAX : backoff(link->tries);

    if (!passes(error) && ++link->tries > VH_LINK_TRIES)
        return;
    link->timer = g_timeout_add(delay, on_timer, link);
}

static void attempt(VhLink *link)
{
    int fd = vh_link_open(link->path);

    g_free(link->problem);
    if (fd >= 0) {
        link->problem = g_strdup("");
        link->connected_at = g_get_monotonic_time();
        stop(link);
        link->connected(fd, link->data);
        return;
    }
    link->problem = vh_link_text(link->path, -fd);
    if (fd != -ENOENT)
        retry_later(link, -fd);
}

static void on_appeared(gpointer data)
{
    VhLink *link = data;

    link->tries = 0;
    if (link->timer)
        g_source_remove(link->timer);
    link->timer = 0;
    attempt(link);
}

static void begin(VhLink *link)
{
    link->awaiting = vh_path_watch_add(link->watch, link->path, on_appeared, link);
    attempt(link);
}

static gboolean on_patience(gpointer data)
{
    VhLink *link = data;

    link->timer = 0;
    begin(link);
    return G_SOURCE_REMOVE;
}

void vh_link_seek(VhLink *link)
{
    bool short_lived = link->connected_at &&
                       g_get_monotonic_time() - link->connected_at < VH_LINK_DELAY_MAX * 1000;

    stop(link);
    link->tries = 0;
    link->short_lived = short_lived ? link->short_lived + 1 : 0;
    if (link->short_lived > 1)
        link->timer = g_timeout_add(backoff(link->short_lived), on_patience, link);
    else
        begin(link);
}

const char *vh_link_problem(const VhLink *link)
{
    return link->problem;
}
