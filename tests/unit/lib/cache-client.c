// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/cache-client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 8192
#define FRAME 8
#define UDP_MS 100
#define TCP_MS 5000
#define AGAIN_US 2000

struct CacheClient {
    struct sockaddr_in address;
    bool tcp;
    int fd; /* -1: not connected */
    guint16 id;
    char answer[ROOM + 1];
};

static void open_socket(CacheClient *client)
{
    const int on = 1;

    client->fd = socket(AF_INET, (client->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    g_assert_cmpint(client->fd, >=, 0);
    if (client->tcp)
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(client->fd, (struct sockaddr *)&client->address, sizeof(client->address)) == 0)
        return;
    close(client->fd);
    client->fd = -1;
    g_usleep(AGAIN_US);
}

static void close_socket(CacheClient *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

CacheClient *cache_client_new(const char *address, guint16 port, bool tcp)
{
    CacheClient *client = g_new0(CacheClient, 1);

    client->address.sin_family = AF_INET;
    client->address.sin_port = htons(port);
    inet_pton(AF_INET, address, &client->address.sin_addr);
    client->tcp = tcp;
    client->fd = -1;
    return client;
}

void cache_client_free(CacheClient *client)
{
    close_socket(client);
    g_free(client);
}

static bool send_all(CacheClient *client, const char *bytes, gsize size)
{
    return size == 0 || send(client->fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Is the text an answer to its last byte? */
static bool is_whole(const char *text, gsize size)
{
    const char *at = text;
    const char *end = text + size;

    while (at < end) {
        const char *line = memchr(at, '\n', (gsize)(end - at));
        const char *bytes = NULL;

        if (!line)
            return false;
        if (!g_str_has_prefix(at, "VALUE "))
            return line + 1 == end;
        bytes = g_strrstr_len(at, line - at, " ");
        at = line + 1 + strtoul(bytes, NULL, 10) + 2;
    }
    return false;
}

static bool wait_for(CacheClient *client, gint64 end)
{
    struct pollfd polled = {.fd = client->fd, .events = POLLIN};
    gint64 left = (end - g_get_monotonic_time()) / 1000;

    return left >= 0 && poll(&polled, 1, (int)left + 1) == 1;
}

static const char *hear_tcp(CacheClient *client)
{
    gint64 end = g_get_monotonic_time() + TCP_MS * 1000;
    gsize size = 0;

    while (wait_for(client, end)) {
        ssize_t got = recv(client->fd, client->answer + size, ROOM - size, 0);

        if (got <= 0)
            return NULL;
        size += (gsize)got;
        client->answer[size] = 0;
        if (is_whole(client->answer, size))
            return client->answer;
    }
    return NULL;
}

static const char *hear_udp(CacheClient *client)
{
    gint64 end = g_get_monotonic_time() + UDP_MS * 1000;

    while (wait_for(client, end)) {
        ssize_t got = recv(client->fd, client->answer, ROOM, 0);
        const guint8 *frame = (const guint8 *)client->answer;

        /* An answer to a former question is late. */
        if (got <= FRAME || ((guint)frame[0] << 8 | frame[1]) != client->id || frame[5] != 1)
            continue;
        client->answer[got] = 0;
        return client->answer + FRAME;
    }
    return NULL;
}

static bool say(CacheClient *client, const char *command, gsize cut)
{
    gsize size = strlen(command);
    g_autofree char *datagram = NULL;

    if (client->tcp)
        return send_all(client, command, cut) && send_all(client, command + cut, size - cut);
    client->id++;
    datagram = g_malloc0(FRAME + size);
    datagram[0] = (char)(client->id >> 8);
    datagram[1] = (char)client->id;
    datagram[5] = 1;
    memcpy(datagram + FRAME, command, size);
    return send_all(client, datagram, FRAME + size);
}

const char *cache_client_ask(CacheClient *client, const char *command, gsize cut)
{
    const char *answer = NULL;

    if (client->fd < 0)
        open_socket(client);
    if (client->fd < 0)
        return NULL;
    if (say(client, command, cut))
        answer = client->tcp ? hear_tcp(client) : hear_udp(client);
    if (client->tcp && !answer)
        close_socket(client);
    return answer;
}

void cache_client_tell(CacheClient *client, const char *command)
{
    if (client->fd < 0)
        open_socket(client);
    if (client->fd >= 0 && !say(client, command, 0) && client->tcp)
        close_socket(client);
}
