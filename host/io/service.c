// SPDX-License-Identifier: GPL-2.0-or-later
// Speaks with the service manager.
#include "io/service.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

void vh_service_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

/* The time tells this reload's READY from an earlier one's. */
void vh_service_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the policy anew",
               (uint64_t)now.tv_sec * G_USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000);
}

void vh_service_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=putting everything back");
}

void vh_service_status(const char *status)
{
    sd_notifyf(0, "STATUS=%s", status);
}

int vh_service_socket(const char *path)
{
    int count = sd_listen_fds(0);

    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++) {
        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) <= 0)
            continue;
        /* sd_listen_fds has made it close-on-exec. */
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
            return -1;
        return fd;
    }
    return -1;
}
