/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs in the host's kernel and vhintd agree on: hooks, stages, and the dispatcher's
 * maps.
 *
 * Both sides include this file. All numbers are the machine's own order, unless said otherwise. */
#pragma once

#include <linux/types.h>

/* How many kinds of offload there are (host/net/kinds.c). Without any, vhintd has no keys and
 * commands for them. Tests have a vhintd with one more. */
#ifndef VH_NET_KINDS
#define VH_NET_KINDS 0
#endif

/* Where packets pass the dispatcher. */
enum vh_hook {
    VH_HOOK_UPLINK,  /* XDP on the uplink: to the guest, from another machine */
    VH_HOOK_EGRESS,  /* tc egress on the guest's tap: to the guest, from anywhere */
    VH_HOOK_INGRESS, /* tc ingress on the guest's tap: from the guest */
    VH_HOOKS
};

/* A guest's slots at a hook, in the order in which a packet passes them. */
enum vh_stage { VH_STAGE_FIREWALL, VH_STAGE_CACHE, VH_STAGE_FILTER, VH_STAGE_MAP, VH_STAGES };

#define VH_NET_GUESTS 256u /* with offloads, on one host */

/* vh_macs, on the uplink: which guest is this? The value is its number, below VH_NET_GUESTS. */
struct vh_mac {
    __u8 mac[6];
    __u16 vlan; /* 0: none */
};

/* vh_guests, by number; mapped by vhintd. */
struct vh_lease {
    __u64 until;         /* CLOCK_MONOTONIC, ns: from then on all packets pass; 0: they do now */
    __u64 chunk_ns;      /* the guest's budget of a period has VH_BUDGET_CHUNKS of these */
    __u64 chunk_packets; /* and of these */
};

/* vh_names, by number, for vhintd's successor: whose it is; "": nobody's. */
#define VH_NET_NAME 256u
struct vh_net_name {
    char guest[VH_NET_NAME];
};

/* A budget's period is 2^27 ns, 0.13 s. CPUs draw a chunk of it whenever they have used up theirs.
 */
#define VH_BUDGET_SHIFT 27
#define VH_BUDGET_CHUNKS 64u

/* vh_spent, per CPU, by guest: what the CPU has left of its chunks. */
struct vh_spent {
    __u64 period; /* since boot; what is left of another one is void */
    __u64 ns;
    __u64 packets;
};

/* vh_accounts, per CPU, by VH_ACCOUNT(). */
struct vh_account {
    __u64 packets; /* segments that came to the slot */
    __u64 dropped;
    __u64 answered;
    __u64 over; /* of a hook's first stage alone: passed above the budget */
    __u64 ns;   /* that the slot took */
};
#define VH_ACCOUNT(guest, hook, stage) (((guest)*VH_HOOKS + (hook)) * VH_STAGES + (stage))

#define VH_SLOT(guest, stage) ((guest)*VH_STAGES + (stage))

/* vh_scratches, per CPU, by hook: the packet under way, as the dispatcher has understood it. */
struct vh_scratch {
    __u64 since; /* ktime: when this stage, or the one before it, began */
    __u32 guest;
    __u16 hook;      /* enum vh_hook */
    __u16 l3_offset; /* from the packet's first byte */
    __u16 l3_proto;  /* ETH_P_*; of a packet with two tags that of a tag */
    __u16 vlan;      /* 0: none */
    __u32 segments;  /* packets that the guest would see; 1 but for GSO */
};
