/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What host-bpf/firewall.bpf.c and host/net/firewall-*.c agree on: tables by which a packet's rows
 * are found.
 *
 * For each field a table tells a value's *class*: all values that the same rows take. A class is a
 * bit for each row. The bits stand in blocks of 512; equal blocks are stored once, and a summary
 * has a bit for each block that is not empty. What is in the classes of all fields at once is the
 * rows that take the packet, and the first of them counts. Lookups of one version of IP are
 * numbered [0], [1] is IPv6. */
#pragma once

#include <linux/types.h>

#define VH_FW_WORDS 8     /* of 64 rows, in a block */
#define VH_FW_BLOCKS 32   /* of a class */
#define VH_FW_STEPS 48    /* blocks and jumps that one packet may take; then it passes */
#define VH_FW_SEARCH 19   /* steps of a search among edges: 2^19 of them at most */
#define VH_FW_FLOWS 65536 /* of one guest; if there are more, all flows are taken for known */

/* In the order of enum vh_fw_field (host/net/firewall.h), whose three kinds these are. */
#define VH_FW_SMALL 9   /* values of one byte: flow to exthdrs */
#define VH_FW_WORD 3    /* of two: frag-off, sport, dport */
#define VH_FW_ADDRESS 2 /* of 4 or 16: saddr, daddr */
#define VH_FW_ALL (VH_FW_SMALL + VH_FW_WORD + VH_FW_ADDRESS)

struct vh_fw_block {
    __u64 words[VH_FW_WORDS];
};

struct vh_fw_class {
    __u32 summary;
    __u16 block[VH_FW_BLOCKS];
    __u16 reserved[2];
};

/* From `from` on, up to the next one, addresses are of this class. IPv4 is the lowest 32 bits. */
struct vh_fw_edge {
    __u64 high;
    __u64 low;
    __u32 class;
    __u32 reserved;
};

/* Where a field's table begins; of addresses, how many edges it has. */
struct vh_fw_table {
    __u32 base;
    __u32 count; /* 0: no row looks at the field */
};

/* What is done where a row takes a packet: VH_FW_ROW_* in the lowest two bits, above them the row
 * to go on from, or the number of the counter of drops. */
enum { VH_FW_ROW_PASS, VH_FW_ROW_DROP, VH_FW_ROW_GOTO };
#define VH_FW_ROW(action, argument) ((__u32)(action) | (__u32)(argument) << 2)

/* vh_fw_mode: packets are let alone, counted, or dropped and counted. */
enum { VH_FW_OFF, VH_FW_SHADOW, VH_FW_ON };

/* Constants of one instance. */
struct vh_fw_config {
    struct vh_fw_table table[2][VH_FW_ALL];
    __u32 rows[2];
    __u32 first_row[2]; /* in vh_fw_actions */
    __u8 mac[6];        /* the guest's; what is for another one passes */
    __u16 reserved;
};

/* vh_fw_flows: what the guest has sent a packet of. Numbers in network order; ports are 0 but for
 * TCP, UDP, SCTP, DCCP and UDP-Lite. */
struct vh_fw_flow {
    __u32 guest[4];
    __u32 other[4];
    __u16 guest_port;
    __u16 other_port;
    __u8 proto;
    __u8 v6;
    __u16 reserved;
};

/* vh_fw_sight: the host's daemon writes the first, and the program the second. Unless the first is
 * set and the second is not, all flows are taken for known. */
enum { VH_FW_SIGHT_COMPLETE, VH_FW_SIGHT_LOST };
