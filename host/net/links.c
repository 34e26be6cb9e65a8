// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the kernel for its network interfaces, and finds the way from an uplink to a tap.
#include "net/links.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"

#define BUFFER (64u << 10)
#define WAIT_SECONDS 2
#define TYPES_MAX (MAX(IFLA_MAX, IFLA_INFO_MAX) + 1)

/* ---- attributes ---- */

typedef void (*attribute_func)(struct vh_link_facts *facts, const struct rtattr *attribute);

static void each(struct vh_link_facts *facts, const struct rtattr *attribute, gsize size,
                 attribute_func func)
{
    int left = (int)size;

    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        func(facts, attribute);
}

static void within(struct vh_link_facts *facts, const struct rtattr *outer, attribute_func func)
{
    each(facts, RTA_DATA(outer), RTA_PAYLOAD(outer), func);
}

/* 0: it is not that wide. */
static guint32 number(const struct rtattr *attribute, gsize size)
{
    guint8 byte = 0;
    guint16 half = 0;
    guint32 whole = 0;

    if (RTA_PAYLOAD(attribute) < size)
        return 0;
    memcpy(&byte, RTA_DATA(attribute), sizeof(byte));
    memcpy(&half, RTA_DATA(attribute), MIN(size, sizeof(half)));
    memcpy(&whole, RTA_DATA(attribute), MIN(size, sizeof(whole)));
    switch (size) {
    case 1:
        return byte;
    case 2:
        return half;
    default:
        return whole;
    }
}

static void text(const struct rtattr *attribute, char *into, gsize room)
{
    gsize size = MIN(RTA_PAYLOAD(attribute), room - 1);

    memcpy(into, RTA_DATA(attribute), size);
    into[size] = 0;
}

/* A bridge's and a VLAN's have numbers of their own. */
static void take_data(struct vh_link_facts *facts, const struct rtattr *attribute)
{
    if (g_str_equal(facts->kind, "vlan") && attribute->rta_type == IFLA_VLAN_ID)
        facts->vlan = (guint16)number(attribute, 2);
    if (g_str_equal(facts->kind, "bridge") && attribute->rta_type == IFLA_BR_VLAN_FILTERING)
        facts->filters = number(attribute, 1);
}

static void take_info(struct vh_link_facts *facts, const struct rtattr *attribute)
{
    if (attribute->rta_type == IFLA_INFO_KIND)
        text(attribute, facts->kind, sizeof(facts->kind));
    if (attribute->rta_type == IFLA_INFO_DATA)
        within(facts, attribute, take_data);
}

static void take_port(struct vh_link_facts *facts, const struct rtattr *attribute)
{
    struct bridge_vlan_info info;

    if (attribute->rta_type != IFLA_BRIDGE_VLAN_INFO || RTA_PAYLOAD(attribute) < sizeof(info))
        return;
    memcpy(&info, RTA_DATA(attribute), sizeof(info));
    if (!(info.flags & BRIDGE_VLAN_INFO_PVID))
        return;
    facts->pvid = info.vid;
    facts->pvid_untagged = info.flags & BRIDGE_VLAN_INFO_UNTAGGED;
}

static void take(struct vh_link_facts *facts, const struct rtattr *attribute)
{
    switch (attribute->rta_type & NLA_TYPE_MASK) {
    case IFLA_IFNAME:
        text(attribute, facts->name, sizeof(facts->name));
        break;
    case IFLA_MASTER:
        facts->master = number(attribute, 4);
        break;
    case IFLA_LINK:
        facts->lower = number(attribute, 4);
        break;
    case IFLA_LINKINFO:
        within(facts, attribute, take_info);
        break;
    }
}

static void take_bridge(struct vh_link_facts *facts, const struct rtattr *attribute)
{
    if ((attribute->rta_type & NLA_TYPE_MASK) == IFLA_AF_SPEC)
        within(facts, attribute, take_port);
}

/* ---- the kernel ---- */

static struct vh_link_facts *by_index(GArray *links, unsigned index)
{
    for (guint i = 0; i < links->len; i++)
        if (g_array_index(links, struct vh_link_facts, i).index == index)
            return &g_array_index(links, struct vh_link_facts, i);
    return NULL;
}

static void take_message(GArray *links, const struct nlmsghdr *message, unsigned char family)
{
    const struct ifinfomsg *info = NLMSG_DATA(message);
    struct vh_link_facts *facts = NULL;

    if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
        return;
    facts = by_index(links, (unsigned)info->ifi_index);
    if (!facts && family == AF_UNSPEC) {
        struct vh_link_facts fresh = {.index = (unsigned)info->ifi_index};

        g_array_append_val(links, fresh);
        facts = &g_array_index(links, struct vh_link_facts, links->len - 1);
    }
    if (facts)
        each(facts, IFLA_RTA(info), IFLA_PAYLOAD(message),
             family == AF_UNSPEC ? take : take_bridge);
}

/* Returns whether there is more to come. */
static bool take_all(GArray *links, const void *buffer, gssize size, unsigned char family)
{
    const struct nlmsghdr *message = buffer;
    guint left = (guint)MAX(size, 0);

    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return false;
        take_message(links, message, family);
    }
    return size > 0;
}

static bool dump(int fd, GArray *links, unsigned char family)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr attribute;
        guint32 mask;
    } ask = {.header = {.nlmsg_len = sizeof(ask),
                        .nlmsg_type = RTM_GETLINK,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
             .info = {.ifi_family = family},
             .attribute = {.rta_len = RTA_LENGTH(sizeof(guint32)), .rta_type = IFLA_EXT_MASK},
             .mask = family == AF_BRIDGE ? RTEXT_FILTER_BRVLAN : 0};
    g_autofree char *buffer = g_malloc(BUFFER);
    gssize size = 0;

    if (send(fd, &ask, sizeof(ask), 0) < 0)
        return false;
    do
        size = recv(fd, buffer, BUFFER, 0);
    while (take_all(links, buffer, size, family));
    return size > 0;
}

GArray *vh_links_read(GError **error)
{
    const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    g_autoptr(GArray) links = g_array_new(FALSE, TRUE, sizeof(struct vh_link_facts));
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool whole = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
                 dump(fd, links, AF_UNSPEC) && dump(fd, links, AF_BRIDGE);
    int problem = errno;

    if (fd >= 0)
        close(fd);
    if (whole)
        return g_steal_pointer(&links);
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the kernel does not tell of its interfaces: %s",
                g_strerror(problem));
    return NULL;
}

bool vh_links_hides_tags(const char *name)
{
    struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
    struct ifreq request = {.ifr_data = (void *)&value};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool hides = false;

    g_strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
    hides = fd < 0 || (ioctl(fd, SIOCETHTOOL, &request) == 0 && value.data & ETH_FLAG_RXVLAN);
    if (fd >= 0)
        close(fd);
    return hides;
}

/* ---- the way ---- */

const struct vh_link_facts *vh_links_find(const GArray *links, const char *name)
{
    for (guint i = 0; i < links->len; i++)
        if (g_str_equal(g_array_index(links, struct vh_link_facts, i).name, name))
            return &g_array_index(links, struct vh_link_facts, i);
    return NULL;
}

static int refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int refuse(GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (error)
        *error = g_error_new_valist(VH_ERROR, VH_ERROR_REFUSED, format, arguments);
    va_end(arguments);
    return -1;
}

/* The uplink's end of the bridge: itself, or a VLAN of its; NULL: neither is a port. */
static const struct vh_link_facts *port_of(const GArray *links, const struct vh_link_facts *uplink,
                                           unsigned bridge)
{
    if (uplink->master == bridge)
        return uplink;
    for (guint i = 0; i < links->len; i++) {
        const struct vh_link_facts *facts = &g_array_index(links, struct vh_link_facts, i);

        if (facts->master == bridge && facts->lower == uplink->index &&
            g_str_equal(facts->kind, "vlan"))
            return facts;
    }
    return NULL;
}

/* By a bridge that filters. A port that is a VLAN's interface has one tag off already. */
static int filtered(const struct vh_link_facts *port, const struct vh_link_facts *uplink,
                    const struct vh_link_facts *tap, guint16 *vlan, GError **error)
{
    if (!tap->pvid || !tap->pvid_untagged)
        return refuse(error, "%s has no VLAN of its own (PVID, untagged) in its bridge", tap->name);
    if (port->pvid == tap->pvid && port->pvid_untagged) {
        *vlan = port == uplink ? 0 : port->vlan;
        return 0;
    }
    if (port != uplink)
        return refuse(error, "packets for %s have two tags at %s", tap->name, uplink->name);
    *vlan = tap->pvid;
    return 0;
}

int vh_links_path(const GArray *links, const char *uplink, const char *tap, guint16 *vlan,
                  GError **error)
{
    const struct vh_link_facts *up = vh_links_find(links, uplink);
    const struct vh_link_facts *down = vh_links_find(links, tap);
    const struct vh_link_facts *bridge = NULL;
    const struct vh_link_facts *port = NULL;

    if (!up || !down)
        return refuse(error, "there is no interface %s", up ? tap : uplink);
    if (!down->master)
        return refuse(error, "%s is in no bridge, so nothing comes to it from %s", tap, uplink);
    bridge = by_index((GArray *)(gpointer)links, down->master);
    if (!bridge || !g_str_equal(bridge->kind, "bridge"))
        return refuse(error, "%s is in %s, which is no bridge of the kernel's", tap,
                      bridge ? bridge->name : "something");
    port = port_of(links, up, bridge->index);
    if (!port)
        return refuse(error, "%s is in the bridge %s, and %s is not", tap, bridge->name, uplink);
    if (bridge->filters)
        return filtered(port, up, down, vlan, error);
    *vlan = port == up ? 0 : port->vlan;
    return 0;
}
