/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/channel/port.c, io/link.c and io/pathwatch.c: bytes both ways, fair turns, and sockets that
 * come and go. */
#include "channel/port.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/link.h"
#include "lib/loop.h"

static VhTurn *turns;

struct end {
    VhPort *port;
    int peer;
    GByteArray *got;
    guint turns;
    guint writable;
    bool closed;
};

static void on_received(const uint8_t *bytes, size_t len, gpointer data)
{
    struct end *end = data;

    g_assert_cmpuint(len, <=, VH_PORT_TURN);
    g_byte_array_append(end->got, bytes, (guint)len);
    end->turns++;
}

static void on_writable(gpointer data)
{
    ((struct end *)data)->writable++;
}

static void on_closed(gpointer data)
{
    struct end *end = data;

    end->closed = true;
    vh_port_free(g_steal_pointer(&end->port));
}

static const struct vh_port_funcs funcs = {
    .received = on_received, .writable = on_writable, .closed = on_closed};

static void open_end(struct end *end)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    *end = (struct end){.peer = fds[1], .got = g_byte_array_new()};
    end->port = vh_port_new(turns, fds[0], &funcs, end);
}

static void close_end(struct end *end)
{
    vh_port_free(end->port);
    if (end->peer >= 0)
        close(end->peer);
    g_byte_array_unref(end->got);
}

static void test_both_ways(void)
{
    struct end end;
    char text[16] = "";

    open_end(&end);
    g_assert_cmpint(write(end.peer, "hello", 5), ==, 5);
    loop_turn();
    g_assert_cmpmem(end.got->data, end.got->len, "hello", 5);
    vh_port_send(end.port, (const uint8_t *)"world", 5);
    g_assert_cmpint(read(end.peer, text, sizeof(text)), ==, 5);
    g_assert_cmpstr(text, ==, "world");
    g_assert_cmpuint(vh_port_room(end.port), ==, VH_PORT_QUEUE);
    close(end.peer);
    end.peer = -1;
    loop_turn();
    g_assert_true(end.closed);
    close_end(&end);
}

static void test_queue(void)
{
    struct end end;
    g_autofree uint8_t *bytes = g_malloc(VH_PORT_QUEUE);
    g_autoptr(GByteArray) got = g_byte_array_new();
    gsize sent = 0;

    open_end(&end);
    memset(bytes, 'q', VH_PORT_QUEUE);
    while (vh_port_room(end.port) >= 10000) {
        vh_port_send(end.port, bytes, 10000);
        sent += 10000;
    }
    g_assert_cmpuint(sent, >, VH_PORT_QUEUE);
    loop_turn();
    g_assert_cmpuint(end.writable, ==, 0);
    while (got->len < sent) {
        uint8_t piece[8192];
        ssize_t len = read(end.peer, piece, sizeof(piece));

        if (len > 0)
            g_byte_array_append(got, piece, (guint)len);
        else
            g_assert_cmpint(errno, ==, EAGAIN);
        loop_turn();
    }
    g_assert_cmpuint(got->len, ==, sent);
    g_assert_cmpuint(end.writable, >=, 1);
    g_assert_cmpuint(vh_port_room(end.port), ==, VH_PORT_QUEUE);
    close_end(&end);
}

/* Sending to a peer that is gone neither blocks nor kills; the end is noticed in the next turn. */
static void test_peer_gone(void)
{
    struct end end;

    open_end(&end);
    close(end.peer);
    end.peer = -1;
    vh_port_send(end.port, (const uint8_t *)"x", 1);
    vh_port_send(end.port, (const uint8_t *)"y", 1);
    loop_turn();
    g_assert_true(end.closed);
    close_end(&end);
}

/* While one guest floods its port, another's byte is there within two turns of the loop. */
static void test_flood_is_fair(void)
{
    struct end flooding, quiet;
    g_autofree char *flood = g_strnfill(1 << 20, 'f');
    int size = 4 << 20;

    open_end(&flooding);
    open_end(&quiet);
    setsockopt(flooding.peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    for (int i = 0; i < 20; i++) {
        while (write(flooding.peer, flood, 1 << 20) > 0)
            ;
        g_assert_cmpint(write(quiet.peer, "x", 1), ==, 1);
        g_main_context_iteration(NULL, FALSE);
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpuint(quiet.got->len, ==, (guint)i + 1);
    }
    g_assert_cmpuint(flooding.turns, >, 0);
    close_end(&flooding);
    close_end(&quiet);
}

/* ---- link ---- */

struct seeker {
    VhPathWatch *watch;
    VhLink *link;
    char *directory;
    char *deep;
    char *path;
    int fd;
    guint count;
};

static void on_connected(int fd, gpointer data)
{
    struct seeker *seeker = data;

    if (seeker->fd >= 0)
        close(seeker->fd);
    seeker->fd = fd;
    seeker->count++;
}

static int listen_at(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, backlog), ==, 0);
    return fd;
}

static void start_seeker(struct seeker *seeker)
{
    *seeker = (struct seeker){.fd = -1};
    seeker->directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    seeker->deep = g_build_filename(seeker->directory, "a", "b", NULL);
    seeker->path = g_build_filename(seeker->deep, "socket", NULL);
    seeker->watch = vh_path_watch_new(NULL);
    seeker->link = vh_link_new(seeker->watch, seeker->path, on_connected, seeker);
}

static void end_seeker(struct seeker *seeker)
{
    g_autofree char *middle = g_path_get_dirname(seeker->deep);

    vh_link_free(seeker->link);
    vh_path_watch_free(seeker->watch);
    if (seeker->fd >= 0)
        close(seeker->fd);
    g_unlink(seeker->path);
    g_rmdir(seeker->deep);
    g_rmdir(middle);
    g_assert_cmpint(g_rmdir(seeker->directory), ==, 0);
    g_free(seeker->path);
    g_free(seeker->deep);
    g_free(seeker->directory);
}

static void wait_for_count(const struct seeker *seeker, guint count)
{
    LOOP_UNTIL(seeker->count >= count);
    g_assert_cmpuint(seeker->count, ==, count);
}

/* The socket's directories appear one after the other, then the socket. */
static void test_link_waits(void)
{
    struct seeker seeker;
    g_autofree char *middle = NULL;
    int server = -1;

    start_seeker(&seeker);
    middle = g_path_get_dirname(seeker.deep);
    vh_link_seek(seeker.link);
    loop_turn();
    g_assert_nonnull(strstr(vh_link_problem(seeker.link), "No such file"));
    g_assert_cmpint(g_mkdir(middle, 0700), ==, 0);
    loop_turn();
    g_assert_cmpint(g_mkdir(seeker.deep, 0700), ==, 0);
    loop_turn();
    server = listen_at(seeker.path, 1);
    wait_for_count(&seeker, 1);
    g_assert_cmpstr(vh_link_problem(seeker.link), ==, "");
    close(server);
    end_seeker(&seeker);
}

static void test_link_directories_at_once(void)
{
    struct seeker seeker;
    int server = -1;

    start_seeker(&seeker);
    vh_link_seek(seeker.link);
    g_assert_cmpint(g_mkdir_with_parents(seeker.deep, 0700), ==, 0);
    server = listen_at(seeker.path, 1);
    wait_for_count(&seeker, 1);
    close(server);
    end_seeker(&seeker);
}

static void test_link_comes_back(void)
{
    struct seeker seeker;
    int server = -1;

    start_seeker(&seeker);
    g_assert_cmpint(g_mkdir_with_parents(seeker.deep, 0700), ==, 0);
    server = listen_at(seeker.path, 1);
    vh_link_seek(seeker.link);
    g_assert_cmpuint(seeker.count, ==, 1);
    close(server);
    g_unlink(seeker.path);
    vh_link_seek(seeker.link);
    loop_turn();
    g_assert_cmpuint(seeker.count, ==, 1);
    server = listen_at(seeker.path, 1);
    wait_for_count(&seeker, 2);
    close(server);
    end_seeker(&seeker);
}

/* A file that nobody listens behind is not knocked at for ever. */
static void test_link_refused(void)
{
    struct seeker seeker;
    int server = -1;

    start_seeker(&seeker);
    g_assert_cmpint(g_mkdir_with_parents(seeker.deep, 0700), ==, 0);
    close(listen_at(seeker.path, 1));
    vh_link_seek(seeker.link);
    g_assert_nonnull(strstr(vh_link_problem(seeker.link), "refused"));
    g_unlink(seeker.path);
    server = listen_at(seeker.path, 1);
    wait_for_count(&seeker, 1);
    close(server);
    end_seeker(&seeker);
}

/* One that hangs up at once is left alone for a while, then longer. */
static void test_link_short_lived(void)
{
    struct seeker seeker;
    int server = -1;

    start_seeker(&seeker);
    g_assert_cmpint(g_mkdir_with_parents(seeker.deep, 0700), ==, 0);
    server = listen_at(seeker.path, 100);
    for (int i = 0; i < 100; i++) {
        vh_link_seek(seeker.link);
        loop_turn();
    }
    g_assert_cmpuint(seeker.count, <, 5);
    wait_for_count(&seeker, seeker.count + 1);
    close(server);
    end_seeker(&seeker);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    turns = vh_turn_new(NULL);
    g_test_add_func("/port/both-ways", test_both_ways);
    g_test_add_func("/port/queue", test_queue);
    g_test_add_func("/port/peer-gone", test_peer_gone);
    g_test_add_func("/port/flood-is-fair", test_flood_is_fair);
    g_test_add_func("/link/waits", test_link_waits);
    g_test_add_func("/link/directories-at-once", test_link_directories_at_once);
    g_test_add_func("/link/comes-back", test_link_comes_back);
    g_test_add_func("/link/refused", test_link_refused);
    g_test_add_func("/link/short-lived", test_link_short_lived);
    return g_test_run();
}
