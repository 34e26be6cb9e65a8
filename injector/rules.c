// SPDX-License-Identifier: GPL-2.0-or-later
// Collects the guest's rules, and what else decides on the way of a packet.
#include "rules.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "cleanup.h"
#include "guest-rules.h"
#include "netlink.h"
#include "nft.h"

#define LINKS_MAX 256
#define RANGES_MAX 4096

/* The whole, while it is put together. */
struct collected {
    uint32_t flags;
    uint32_t links;
    uint32_t ranges;
    uint32_t loopback; /* its index */
    int local_rules;   /* routing rules for local addresses that come first */
    struct vh_rules_link link[LINKS_MAX];
    struct vh_rules_range range[RANGES_MAX];
    struct vh_nft_dump dump;
};

int vh_rules_open(struct vh_rules *rules)
{
    uint32_t groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                      RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_TC;

    rules->nft = vh_netlink_open(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
    rules->route = vh_netlink_open(NETLINK_ROUTE, groups);
    return rules->route < 0 ? rules->route : 0;
}

void vh_rules_close(struct vh_rules *rules)
{
    vh_cleanup_close(&rules->nft);
    vh_cleanup_close(&rules->route);
    *rules = (struct vh_rules){-1, -1};
}

/* ---- interfaces ---- */

static uint32_t number_of(const struct nlattr *attr)
{
    uint32_t number = 0;

    if (attr && attr->nla_len >= NLA_HDRLEN + sizeof(number))
        memcpy(&number, (const char *)attr + NLA_HDRLEN, sizeof(number));
    return number;
}

static const char *text_of(const struct nlattr *attr)
{
    return attr ? (const char *)attr + NLA_HDRLEN : "";
}

/* What it is made of: a VLAN's number, or nothing of interest. */
static void take_kind(const struct nlmsghdr *message, struct vh_rules_link *link)
{
    const struct nlattr *info = vh_netlink_attr(message, sizeof(struct ifinfomsg), IFLA_LINKINFO);
    const struct nlattr *kind = info ? vh_netlink_within(info, IFLA_INFO_KIND) : NULL;
    const struct nlattr *data = info ? vh_netlink_within(info, IFLA_INFO_DATA) : NULL;
    const struct nlattr *id = data ? vh_netlink_within(data, IFLA_VLAN_ID) : NULL;

    if (!kind)
        link->flags |= VH_RULES_LINK_DEVICE;
    else if (strcmp(text_of(kind), "vlan") == 0 && id)
        memcpy(&link->vlan, (const char *)id + NLA_HDRLEN, sizeof(link->vlan));
}

static int take_link(void *data, const struct nlmsghdr *message)
{
    struct collected *all = data;
    struct ifinfomsg info;
    struct vh_rules_link link = {0};
    const size_t skip = sizeof(info);
    const struct nlattr *mac = vh_netlink_attr(message, skip, IFLA_ADDRESS);
    const struct nlattr *xdp = vh_netlink_attr(message, skip, IFLA_XDP);

    memcpy(&info, NLMSG_DATA(message), sizeof(info));
    if (info.ifi_flags & IFF_LOOPBACK)
        all->loopback = (uint32_t)info.ifi_index;
    if (info.ifi_flags & IFF_LOOPBACK || !(info.ifi_flags & IFF_UP))
        return 0;
    if (all->links >= LINKS_MAX)
        return -E2BIG;
    link.index = (uint32_t)info.ifi_index;
    link.parent = number_of(vh_netlink_attr(message, skip, IFLA_LINK));
    if (vh_netlink_attr(message, skip, IFLA_MASTER))
        link.flags |= VH_RULES_LINK_TAKEN;
    if (xdp && vh_netlink_within(xdp, IFLA_XDP_PROG_ID))
        all->flags |= VH_RULES_OBSERVED;
    if (mac && mac->nla_len == NLA_HDRLEN + sizeof(link.mac))
        memcpy(link.mac, (const char *)mac + NLA_HDRLEN, sizeof(link.mac));
    strncpy(link.name, text_of(vh_netlink_attr(message, skip, IFLA_IFNAME)), sizeof(link.name) - 1);
    take_kind(message, &link);
    all->link[all->links++] = link;
    return 0;
}

/* What stands on an interface and is no VLAN (macvlan, ipvlan, ...) takes packets from it. */
static void mark_taken(struct collected *all)
{
    for (uint32_t i = 0; i < all->links; i++) {
        for (uint32_t j = 0; j < all->links; j++) {
            if (all->link[j].parent == all->link[i].index && !all->link[j].vlan)
                all->link[i].flags |= VH_RULES_LINK_TAKEN;
        }
    }
}

/* ---- addresses and routes ---- */

static bool is_card(const struct collected *all, uint32_t index)
{
    for (uint32_t i = 0; i < all->links; i++) {
        const struct vh_rules_link *link = &all->link[i];

        if (link->index == index)
            return link->flags & VH_RULES_LINK_DEVICE || (link->vlan && link->parent != index);
    }
    return false;
}

static int add_range(struct collected *all, unsigned family, unsigned kind, const void *address,
                     unsigned bits)
{
    struct vh_rules_range *range = &all->range[all->ranges];
    size_t size = family == AF_INET6 ? 16 : 4;

    if (all->ranges >= RANGES_MAX)
        return -E2BIG;
    all->ranges++;
    *range = (struct vh_rules_range){.v6 = family == AF_INET6, .kind = (uint8_t)kind};
    for (size_t i = 0; i < size; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * (unsigned)i : 0;
        uint8_t mask = (uint8_t)(kept >= 8 ? 0xffu : 0xff00u >> kept);
        uint8_t byte = address ? ((const uint8_t *)address)[i] : 0;

        range->lo[i] = byte & mask;
        range->hi[i] = (uint8_t)(byte | ~mask);
    }
    return 0;
}

/* Local addresses are those of the table of that name; other routes tell what is behind interfaces
 * that are no cards. */
static int take_route(void *data, const struct nlmsghdr *message)
{
    struct collected *all = data;
    struct rtmsg route;
    const struct nlattr *to = NULL;
    const struct nlattr *out = NULL;
    const void *address = NULL;

    memcpy(&route, NLMSG_DATA(message), sizeof(route));
    if (route.rtm_family != AF_INET && route.rtm_family != AF_INET6)
        return 0;
    to = vh_netlink_attr(message, sizeof(route), RTA_DST);
    out = vh_netlink_attr(message, sizeof(route), RTA_OIF);
    address = to ? (const char *)to + NLA_HDRLEN : NULL;
    if (route.rtm_type == RTN_LOCAL && route.rtm_table == RT_TABLE_LOCAL)
        return add_range(all, route.rtm_family, VH_RULES_LOCAL, address, route.rtm_dst_len);
    if (route.rtm_type != RTN_UNICAST || (out && is_card(all, number_of(out))) ||
        (out && number_of(out) == all->loopback))
        return 0;
    /* Several ways, or one that is not told: it may be behind anything. */
    return add_range(all, route.rtm_family, VH_RULES_UNSEEN, address, route.rtm_dst_len);
}

/* The rule for local addresses is the first as long as nobody puts another before it. */
static int take_rule(void *data, const struct nlmsghdr *message)
{
    struct collected *all = data;
    const struct nlattr *priority = vh_netlink_attr(message, sizeof(struct rtmsg), FRA_PRIORITY);
    const struct nlattr *table = vh_netlink_attr(message, sizeof(struct rtmsg), FRA_TABLE);

    if (number_of(priority) == 0 && number_of(table) == RT_TABLE_LOCAL)
        all->local_rules++;
    else if (number_of(priority) == 0)
        all->flags |= VH_RULES_ROUTED;
    return 0;
}

static int ask_route(int fd, unsigned type, unsigned family, vh_netlink_take take,
                     struct collected *all)
{
    struct {
        struct nlmsghdr header;
        struct rtmsg route; /* ifinfomsg and fib_rule_hdr are as large or smaller */
        char rest[16];
    } request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                            .nlmsg_type = (uint16_t)type,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .route = {.rtm_family = (unsigned char)family}};

    if (type == RTM_GETROUTE || type == RTM_GETRULE)
        request.header.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg));
    return vh_netlink_ask(fd, &request.header, take, all);
}

/* ---- what else there is ---- */

static bool has_lines(const char *path, unsigned more_than)
{
    FILE *file = fopen(path, "re");
    char line[512];
    unsigned lines = 0;

    if (!file)
        return false;
    while (lines <= more_than && fgets(line, sizeof(line), file))
        lines++;
    fclose(file);
    return lines > more_than;
}

static void look_around(struct collected *all)
{
    if (access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) == 0)
        all->flags |= VH_RULES_CONNTRACK;
    if (has_lines("/proc/net/ip_tables_names", 0) || has_lines("/proc/net/ip6_tables_names", 0))
        all->flags |= VH_RULES_LEGACY;
    if (has_lines("/proc/net/packet", 1))
        all->flags |= VH_RULES_OBSERVED;
}

/* A filter at a card's ingress. */
static int take_qdisc(void *data, const struct nlmsghdr *message)
{
    const char *kind = text_of(vh_netlink_attr(message, sizeof(struct tcmsg), TCA_KIND));

    if (strcmp(kind, "clsact") == 0 || strcmp(kind, "ingress") == 0)
        ((struct collected *)data)->flags |= VH_RULES_OBSERVED;
    return 0;
}

static int collect_routes(struct collected *all)
{
    static const struct {
        unsigned type;
        unsigned family;
        vh_netlink_take take;
    } steps[] = {{RTM_GETLINK, AF_UNSPEC, take_link},  {RTM_GETROUTE, AF_INET, take_route},
                 {RTM_GETROUTE, AF_INET6, take_route}, {RTM_GETRULE, AF_INET, take_rule},
                 {RTM_GETRULE, AF_INET6, take_rule},   {RTM_GETQDISC, AF_UNSPEC, take_qdisc}};
    vh_autoclose int fd = vh_netlink_open(NETLINK_ROUTE, 0);
    int error = fd < 0 ? fd : 0;
    int asked = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !error; i++) {
        error = ask_route(fd, steps[i].type, steps[i].family, steps[i].take, all);
        asked += !error && steps[i].type == RTM_GETRULE;
        /* A kernel may be without IPv6 or policy routing. */
        if (error == -EOPNOTSUPP || error == -EAFNOSUPPORT)
            error = 0;
    }
    mark_taken(all);
    if (all->local_rules < asked)
        all->flags |= VH_RULES_ROUTED;
    return error;
}

static int collect_rules(struct collected *all)
{
    vh_autoclose int fd = vh_nft_open();
    int error = fd < 0 ? fd : vh_nft_dump(fd, &all->dump);

    /* No nf_tables, no rules. */
    return error == -EPROTONOSUPPORT || error == -EINVAL || error == -ENOENT ? 0 : error;
}

/* ---- parts ---- */

static int pack(const struct collected *all, uint8_t **packed, uLongf *size, uint32_t *whole)
{
    struct vh_rules_head head = {.magic = VH_RULES_MAGIC,
                                 .version = VH_RULES_VERSION,
                                 .links = all->links,
                                 .ranges = all->ranges,
                                 .dump = (uint32_t)all->dump.size};
    size_t links = all->links * sizeof(all->link[0]);
    size_t ranges = all->ranges * sizeof(all->range[0]);
    size_t bytes = sizeof(head) + links + ranges + all->dump.size;
    vh_autofree uint8_t *text = malloc(bytes);

    *size = compressBound(bytes);
    *packed = malloc(*size);
    if (!text || !*packed)
        return -ENOMEM;
    memcpy(text, &head, sizeof(head));
    memcpy(text + sizeof(head), all->link, links);
    memcpy(text + sizeof(head) + links, all->range, ranges);
    if (all->dump.size)
        memcpy(text + sizeof(head) + links + ranges, all->dump.bytes, all->dump.size);
    *whole = (uint32_t)bytes;
    if (bytes > VH_RULES_MAX || compress2(*packed, size, text, bytes, 1) != Z_OK)
        return -E2BIG;
    return *size > VH_RULES_PARTS_MAX * VH_RULES_DATA ? -E2BIG : 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int put_parts(int state, const uint8_t *packed, size_t size, struct vh_rules_part *part)
{
    uint32_t count = (uint32_t)((size + VH_RULES_DATA - 1) / VH_RULES_DATA);

    for (uint32_t i = 0; i < count; i++) {
        size_t left = size - (size_t)i * VH_RULES_DATA;

        part->part = i;
        memset(part->data, 0, sizeof(part->data));
        memcpy(part->data, packed + (size_t)i * VH_RULES_DATA,
               left < VH_RULES_DATA ? left : VH_RULES_DATA);
        if (bpf_map_update_elem(state, &i, part, BPF_ANY))
            return -errno;
    }
    for (uint32_t i = count; i < VH_RULES_PARTS_MAX; i++) {
        if (bpf_map_delete_elem(state, &i))
            break;
    }
    return 0;
}

/* Equal rules are not told again: their parts have the same serial, which is a checksum. */
static int put(int state, const struct collected *all)
{
    vh_autofree uint8_t *packed = NULL;
    vh_autofree struct vh_rules_part *part = calloc(1, sizeof(*part));
    uLongf size = 0;
    uint32_t whole = 0;
    int error = part ? pack(all, &packed, &size, &whole) : -ENOMEM;

    if (error)
        return error;
    part->h = (struct vh_hint){
        .size = sizeof(*part), .kind = 1, .key_size = sizeof(part->part), .ktime = now_ns()};
    part->serial = (uint32_t)crc32(crc32(0, packed, (uInt)size), (const void *)&all->flags,
                                   sizeof(all->flags));
    part->bytes = (uint32_t)size;
    part->whole = whole;
    part->flags = all->flags;
    return put_parts(state, packed, size, part);
}

int vh_rules_collect(int state)
{
    vh_autofree struct collected *all = calloc(1, sizeof(*all));
    int error = all ? collect_routes(all) : -ENOMEM;

    if (error)
        return error;
    look_around(all);
    error = collect_rules(all);
    if (!error)
        error = put(state, all);
    vh_nft_dump_free(&all->dump);
    return error;
}
