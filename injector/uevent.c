// SPDX-License-Identifier: GPL-2.0-or-later
// Listens to kobject uevents: netlink(7), NETLINK_KOBJECT_UEVENT.
#include "uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

#define KERNEL_GROUP 1

int vh_uevent_open(void)
{
    vh_autoclose int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return -errno;
    return vh_take_fd(&fd);
}

/* An event is "ACTION@PATH" and "KEY=VALUE" strings, NUL-terminated. */
static void note(struct vh_uevents *events, const char *bytes, size_t len)
{
    static const char key[] = "SUBSYSTEM=";

    while (len > 0) {
        size_t string = strnlen(bytes, len);

        if (string >= strlen(key) && memcmp(bytes, key, strlen(key)) == 0) {
            const char *subsystem = bytes + strlen(key);

            events->cpus |= strcmp(subsystem, "cpu") == 0;
            events->ports |= strcmp(subsystem, "virtio-ports") == 0;
        }
        string += string < len;
        bytes += string;
        len -= string;
    }
}

int vh_uevent_read(int fd, struct vh_uevents *events)
{
    char bytes[8192];
    struct sockaddr_nl from = {0};
    socklen_t from_size = sizeof(from);
    ssize_t got;

    for (;;) {
        from_size = sizeof(from);
        got = recvfrom(fd, bytes, sizeof(bytes) - 1, 0, (struct sockaddr *)&from, &from_size);
        if (got < 0 && errno == ENOBUFS) {
            *events = (struct vh_uevents){.cpus = true, .ports = true};
            continue;
        }
        if (got < 0)
            return errno == EAGAIN ? 0 : -errno;
        bytes[got] = 0;
        if (from_size == sizeof(from) && from.nl_pid == 0) /* from the kernel, nobody else */
            note(events, bytes, (size_t)got);
    }
}
