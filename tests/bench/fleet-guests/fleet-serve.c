/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serves all sockets of the fleet on one thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fleet.h"

enum road { MONITOR_LISTENING, CHANNEL_LISTENING, MONITOR, CHANNEL };
static const char greeting[] =
    "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":2,\"major\":7},"
    "\"package\":\"\"},\"capabilities\":[]}}\r\n";

static void watch(const struct fleet *fleet, unsigned guest, enum road road, int fd,
                  uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)guest << 2 | road};

    if (epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, fd, &event) < 0 &&
        epoll_ctl(fleet->epoll, EPOLL_CTL_MOD, fd, &event) < 0)
        fleet_die("epoll_ctl");
}

void fleet_want_output(const struct fleet *fleet, const struct fleet_guest *guest)
{
    if (guest->channel >= 0)
        watch(fleet, guest->number, CHANNEL, guest->channel,
              guest->output->len || (guest->flooding && guest->credit > 0) ? EPOLLIN | EPOLLOUT
                                                                           : EPOLLIN);
}

static int listen_on(const char *directory, unsigned number, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%u.%s", directory, number, name);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0)
        fleet_die(address.sun_path);
    return fd;
}

void fleet_listen(struct fleet *fleet)
{
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < fleet->count; i++) {
        struct fleet_guest *guest = &fleet->guests[i];

        guest->number = i;
        guest->monitor = guest->channel = -1;
        guest->commands = g_string_new(NULL);
        guest->output = g_byte_array_new();
        guest->input = g_malloc(VH_DECODER_BUFFER);
        vh_decoder_init(&guest->decoder, guest->input);
        guest->listening[0] = listen_on(fleet->directory, i, "qmp");
        guest->listening[1] = listen_on(fleet->directory, i, "channel");
        watch(fleet, i, MONITOR_LISTENING, guest->listening[0], EPOLLIN);
        watch(fleet, i, CHANNEL_LISTENING, guest->listening[1], EPOLLIN);
    }
}

static void on_listening(const struct fleet *fleet, struct fleet_guest *guest, enum road road)
{
    int *fd = road == MONITOR_LISTENING ? &guest->monitor : &guest->channel;
    int fresh = accept4(guest->listening[road], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fresh < 0)
        return;
    if (*fd >= 0)
        close(*fd);
    *fd = fresh;
    watch(fleet, guest->number, road == MONITOR_LISTENING ? MONITOR : CHANNEL, fresh, EPOLLIN);
    if (road == CHANNEL_LISTENING)
        fleet_session_begin(guest);
    else
        fleet_monitor_say(guest, greeting);
}

static void hang_up(struct fleet_guest *guest, enum road road)
{
    int *fd = road == MONITOR ? &guest->monitor : &guest->channel;

    close(*fd);
    *fd = -1;
    if (road == CHANNEL) {
        guest->up = false;
        guest->adopted = false;
    } else {
        g_string_truncate(guest->commands, 0);
    }
}

void fleet_flush(struct fleet_guest *guest)
{
    ssize_t done = 0;

    if (!guest->output->len || guest->channel < 0)
        return;
    done =
        send(guest->channel, guest->output->data, guest->output->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done > 0)
        g_byte_array_remove_range(guest->output, 0, (guint)done);
}

static void on_ready(struct fleet *fleet, struct fleet_guest *guest, enum road road,
                     uint32_t events)
{
    static uint8_t input[FLEET_TURN];
    int fd = road == MONITOR ? guest->monitor : guest->channel;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t len = recv(fd, input, sizeof(input), 0);

        if (len == 0 || (len < 0 && errno != EAGAIN)) {
            hang_up(guest, road);
            return;
        }
        if (len > 0 && road == MONITOR)
            fleet_monitor_input(guest, (const char *)input, (size_t)len);
        else if (len > 0)
            fleet_session_input(fleet, guest, input, (size_t)len);
    }
    if (road == MONITOR)
        return;
    fleet_flush(guest);
    if (guest->flooding)
        fleet_batch(guest, FLEET_BATCH);
    fleet_want_output(fleet, guest);
}

void *fleet_serve(void *data)
{
    struct fleet *fleet = data;
    struct epoll_event events[64];

    for (;;) {
        int count = epoll_wait(fleet->epoll, events, (int)G_N_ELEMENTS(events), -1);

        pthread_mutex_lock(&fleet->lock);
        for (int i = 0; i < count; i++) {
            struct fleet_guest *guest = &fleet->guests[events[i].data.u64 >> 2];
            enum road road = events[i].data.u64 & 3;

            if (road == MONITOR_LISTENING || road == CHANNEL_LISTENING)
                on_listening(fleet, guest, road);
            else if ((road == MONITOR ? guest->monitor : guest->channel) >= 0)
                on_ready(fleet, guest, road, events[i].events);
        }
        pthread_mutex_unlock(&fleet->lock);
    }
    return NULL;
}
