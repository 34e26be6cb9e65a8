// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the host's topology through hwloc, and hears of CPU hotplug through netlink.
#include "topology.h"

#include <errno.h>
#include <glib-unix.h>
#include <hwloc.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"

#define ONLINE "/sys/devices/system/cpu/online"
#define PRESENT "/sys/devices/system/cpu/present"

struct VhHotplug {
    int fd;
    guint source;
    VhHotplugFunc func;
    gpointer data;
};

static int read_list(const char *path, struct vh_cpuset *set, GError **error)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, error) || vh_cpuset_parse(set, text, error) < 0) {
        g_prefix_error(error, "%s: ", path);
        return -1;
    }
    return 0;
}

/* What has one L3 is a domain; without an L3, what has one NUMA node; else what sits in one package. */
static hwloc_obj_t domain_of(hwloc_topology_t hwloc, hwloc_obj_t unit)
{
    hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_L3CACHE, unit);
    hwloc_obj_t node = NULL;

    if (l3)
        return l3;
    while ((node = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, node)))
        if (hwloc_bitmap_isset(node->cpuset, unit->os_index))
            return node;
    return hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_PACKAGE, unit);
}

static void fill(struct vh_topology *topology, hwloc_topology_t hwloc)
{
    hwloc_obj_t unit = NULL;

    while ((unit = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_PU, unit))) {
        hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_CORE, unit);
        hwloc_obj_t domain = domain_of(hwloc, unit);

        if (unit->os_index >= VH_HOST_CPUS_MAX)
            continue;
        topology->core[unit->os_index] = (uint16_t)(core ? core->logical_index : unit->logical_index);
        topology->domain[unit->os_index] = (uint16_t)(domain ? domain->logical_index : 0);
    }
}

int vh_topology_read(struct vh_topology *topology, GError **error)
{
    g_autofree struct vh_topology *made = g_new0(struct vh_topology, 1);
    hwloc_topology_t hwloc = NULL;

    if (read_list(ONLINE, &made->online, error) < 0 || read_list(PRESENT, &made->present, error) < 0)
        return -1;
    if (hwloc_topology_init(&hwloc) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "hwloc: %s", g_strerror(errno));
        return -1;
    }
    hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_io_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_NONE);
    if (hwloc_topology_load(hwloc) < 0) {
        g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "hwloc: %s", g_strerror(errno));
        hwloc_topology_destroy(hwloc);
        return -1;
    }
    fill(made, hwloc);
    hwloc_topology_destroy(hwloc);
    memcpy(topology, made, sizeof(*topology));
    return 0;
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
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
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
