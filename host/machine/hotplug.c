// SPDX-License-Identifier: GPL-2.0-or-later
// Hears of CPU hotplug through netlink.
#include "machine/hotplug.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

struct VhHotplug {
    int fd;
    guint source;
    VhHotplugFunc func;
    gpointer data;
};

/* The kernel drops all but what begins with "onli" or "offl": each tap that comes or goes is a
 * uevent, too. */
static int listen_for_cpus(int fd)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x6f6e6c69, 1, 0),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x6f66666c, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, G_MAXUINT32),
                                   BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog program = {.len = G_N_ELEMENTS(filter), .filter = filter};
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
        return -1;
    return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

static gboolean on_uevent(gint fd, GIOCondition condition, gpointer data)
{
    VhHotplug *hotplug = data;
    char buffer[8192];
    bool concerns = false;
    ssize_t len = 0;

    (void)condition;
    while ((len = recv(fd, buffer, sizeof(buffer) - 1, MSG_DONTWAIT)) > 0) {
        buffer[len] = 0;
        /* "online@/devices/system/cpu/cpu1", then NUL-separated variables. */
        concerns = concerns || strstr(buffer, "@/devices/system/cpu/cpu");
    }
    /* ENOBUFS: some were lost, so it might have been ours. */
    if (concerns || (len < 0 && errno == ENOBUFS))
        hotplug->func(hotplug->data);
    return G_SOURCE_CONTINUE;
}

VhHotplug *vh_hotplug_new(VhHotplugFunc func, gpointer data, GError **error)
{
    VhHotplug *hotplug = NULL;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

    if (fd < 0 || listen_for_cpus(fd) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "CPU hotplug events: %s", g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    hotplug = g_new0(VhHotplug, 1);
    hotplug->fd = fd;
    hotplug->func = func;
    hotplug->data = data;
    hotplug->source = g_unix_fd_add(fd, G_IO_IN, on_uevent, hotplug);
    return hotplug;
}

void vh_hotplug_free(VhHotplug *hotplug)
{
    if (!hotplug)
        return;
    g_source_remove(hotplug->source);
    close(hotplug->fd);
    g_free(hotplug);
}
