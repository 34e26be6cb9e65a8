/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program `firewall` tells of a guest: its rules, and what else decides on the way of a
 * packet.
 *
 * It is one text of bytes, compressed by zlib, in parts: each part is a fact. All parts of one
 * serial number together are the whole. Numbers are little-endian. */
#pragma once

#include "wire.h"

#define VH_RULES_PROGRAM "firewall"
#define VH_RULES_MAX (16u << 20)  /* bytes of the whole */
#define VH_RULES_PARTS_MAX 512u   /* of the compressed bytes */
#define VH_RULES_DATA 4052u       /* bytes of one part */
#define VH_RULES_MAGIC 0x4c525648 /* "HVRL" */
#define VH_RULES_VERSION 1

/* `flags` of a part */
#define VH_RULES_CONNTRACK 1u /* the kernel has conntrack */
#define VH_RULES_LEGACY 2u    /* there are tables of iptables-legacy */
#define VH_RULES_OBSERVED \
    4u                     /* something sees packets before the rules: a packet socket, XDP, tc \
                            */
#define VH_RULES_ROUTED 8u /* routing rules come before that of local addresses */

struct vh_rules_part {
    struct vh_hint h;
    __u32 part;   /* the key: from 0 on */
    __u32 serial; /* of the whole that it is part of */
    __u32 bytes;  /* of the whole, compressed */
    __u32 whole;  /* likewise, as it is */
    __u32 flags;  /* VH_RULES_* */
    __u8 data[VH_RULES_DATA];
};
_Static_assert(sizeof(struct vh_rules_part) == VH_HINT_MAX, "a part is the largest hint");

/* What the whole begins with; then links, ranges, and the messages of a dump of nf_tables. */
struct vh_rules_head {
    __u32 magic;
    __u32 version;
    __u32 links;
    __u32 ranges;
    __u32 dump; /* bytes */
    __u32 reserved;
};

/* `flags` of a link */
#define VH_RULES_LINK_DEVICE 1u /* it is a network card, not made of others */
#define VH_RULES_LINK_TAKEN 2u  /* a bridge, a bond or the like takes its packets */

/* A network interface that is up. */
struct vh_rules_link {
    __u32 index;
    __u32 parent; /* of a VLAN: the interface's index that it stands on; else 0 */
    __u16 vlan;
    __u16 flags;
    __u8 mac[6];
    __u16 reserved;
    char name[16];
};
_Static_assert(sizeof(struct vh_rules_link) == 36, "layout");

enum vh_rules_range_kind {
    VH_RULES_LOCAL, /* packets to these addresses are delivered in the guest */
    VH_RULES_UNSEEN /* are behind an interface that is no network card */
};

/* Addresses in network order; of IPv4 the first 4 bytes. */
struct vh_rules_range {
    __u8 v6;
    __u8 kind;
    __u16 reserved;
    __u8 lo[16];
    __u8 hi[16];
};
_Static_assert(sizeof(struct vh_rules_range) == 36, "layout");
