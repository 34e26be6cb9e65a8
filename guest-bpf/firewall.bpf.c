// SPDX-License-Identifier: GPL-2.0-or-later
// Reports the rules of the guest's firewall, and what else decides on the way of a packet.
//
// The injector collects them, since no BPF program can; this one sees that they have changed, by
// what the kernel tells the injector's sockets (rules, interfaces, addresses, routes, tc) and by
// packet sockets that come and go. Then it says that a hint was lost: that makes the host ask for a
// snapshot, before which the injector collects anew. Nothing is polled.
#include "vhint.bpf.h"

#include <bpf/bpf_tracing.h>

#include "guest-rules.h"

#define NETLINK_ROUTE 0
#define NETLINK_NETFILTER 12
#define GROUP_NFTABLES 7
/* Interfaces, tc, addresses, routes and routing rules: linux/rtnetlink.h's numbers, as bits. */
#define GROUPS_ROUTE \
    (1u << 1 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 11 | 1u << 19)

struct firewall_changed {
    struct vh_hint h;
    __u32 rules; /* 1: the rules; 0: something else */
    __u32 reserved;
};

VH_PROGRAM("firewall", "1");
VH_HINT(1, vh_rules_part);
VH_HINT(2, firewall_changed);
VH_HINTS(64 * 1024);
VH_COLLECT_RULES;
VH_PARTIAL;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, VH_RULES_PARTS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct vh_rules_part);
} state SEC(".maps");

struct sock {
    __u16 sk_protocol;
} __attribute__((preserve_access_index));

/* The event wakes the injector, which tells the host that something is missing. */
static __always_inline int tell(__u32 rules)
{
    struct firewall_changed changed = {.rules = rules};

    vh_count_lost();
    vh_stamp(&changed.h, 2, sizeof(changed), 0, 0);
    vh_emit(&hints, &changed, sizeof(changed));
    return 0;
}

static __always_inline int note(struct sock *from, __u32 group)
{
    __u16 protocol = from->sk_protocol;

    if (protocol == NETLINK_NETFILTER && group == GROUP_NFTABLES)
        return tell(1);
    if (protocol == NETLINK_ROUTE && group < 32 && GROUPS_ROUTE & 1u << group)
        return tell(0);
    return 0;
}

SEC("fentry/netlink_broadcast_filtered")
int BPF_PROG(told___filtered, struct sock *from, void *skb, __u32 port, __u32 group)
{
    return note(from, group);
}

/* A kernel without the other. */
SEC("fentry/netlink_broadcast")
int BPF_PROG(told___all, struct sock *from, void *skb, __u32 port, __u32 group)
{
    return note(from, group);
}

SEC("fentry/dev_add_pack")
int packet_socket_comes(void *ctx)
{
    return tell(0);
}

SEC("fentry/__dev_remove_pack")
int packet_socket_goes(void *ctx)
{
    return tell(0);
}
