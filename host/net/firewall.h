/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's rules as a list of rows that a classifier in the host's kernel can go by.
 *
 * For each packet the first row counts that takes it: VH_FW_DROP drops it, VH_FW_PASS leaves it to
 * the guest, VH_FW_GOTO goes on from a later row. A packet that no row takes is passed.
 *
 * The promise: a packet that the rows drop is one that the guest's kernel drops by these rules, and
 * the rules do nothing else with it that anybody could tell but count it in anonymous counters. It
 * is argued in docs/offload.md. Numbers below are those of the argument there.
 *
 *  1. A match is exact, or it may hold. Of a rule that may match, a drop is left out, and whatever
 *     would end the way to later drops is VH_FW_PASS.
 *  2. A rule with an effect is VH_FW_PASS from the effect on.
 *  3. What a hook changes or takes away before the rules see the packet is VH_FW_PASS: fragments,
 *     flows that the guest may know, destinations that are not the guest's.
 *  4. Where a budget ends, the rest is VH_FW_PASS.
 */
#pragma once

#include <stdint.h>

#include "net/firewall-ranges.h"
#include "nft/model.h"

enum vh_fw_field {
    VH_FW_FLOW, /* VH_FW_FLOW_*  */
    VH_FW_LINK, /* which of the guest's interfaces: number in vh_fw_guest.links, or VH_FW_LINK_NO */
    VH_FW_PKTTYPE, /* by the destination's MAC: 0 the guest's, 1 broadcast, 2 multicast */
    VH_FW_PROTO,   /* behind the extension headers, if it is IPv6 */
    VH_FW_NEXT,    /* IPv6: the first header's */
    VH_FW_TTL,     /* or hop limit */
    VH_FW_TOS,     /* IPv4 */
    VH_FW_FLAGS,   /* byte 13 of a TCP header; rows that look at it take TCP only */
    VH_FW_EXT,     /* IPv6: VH_FW_EXT_* of the extension headers */
    VH_FW_FRAG,    /* IPv4: the word of flags and offset */
    VH_FW_TH0,     /* the transport header's first two bytes: source port; type and code of ICMP */
    VH_FW_TH2,     /* and its next two: destination port */
    VH_FW_SADDR,
    VH_FW_DADDR,
    VH_FW_FIELDS
};

enum { VH_FW_FLOW_NEW, VH_FW_FLOW_KNOWN };
enum {
    VH_FW_EXT_HOP = 1,
    VH_FW_EXT_DEST = 2,
    VH_FW_EXT_ROUTE = 4,
    VH_FW_EXT_AUTH = 8,
    VH_FW_EXT_FRAG = 16
};
#define VH_FW_LINK_NO 255
#define VH_FW_LINKS_MAX 64
#define VH_FW_ROWS_MAX 16384 /* of one of IPv4 and IPv6 */
#define VH_FW_STEPS_MAX 1000000
#define VH_FW_DEPTH_MAX 16 /* of jumps; the kernel's own limit */
#define VH_FW_NOTES_MAX 256

/* An interface of the guest at which packets of one of the host's come in. */
struct vh_fw_link {
    char name[16];
    uint32_t index;
    uint16_t vlan; /* 0: the interface itself, which is number 0 */
};

/* What beside the rules decides on a packet's way. */
struct vh_fw_guest {
    struct vh_fw_link links[VH_FW_LINKS_MAX];
    guint link_count;
    GArray *local[2];  /* struct vh_range: addresses that are delivered locally; [1]: IPv6 */
    GArray *unseen[2]; /* sources that the guest may have flows with which the host cannot see */
};

enum vh_fw_action { VH_FW_PASS, VH_FW_DROP, VH_FW_GOTO };

struct vh_fw_row {
    const VhRanges *field[VH_FW_FIELDS];
    enum vh_fw_action action;
    guint target;                   /* of VH_FW_GOTO: a later row, or the number of rows */
    const struct vh_nft_rule *rule; /* that it comes from; NULL: a policy, or number 3 */
};

struct vh_fw_note {
    const struct vh_nft_rule *rule;
    const char *reason; /* a static text */
};

typedef struct {
    VhRangeStore *store;
    GArray *rows[2]; /* struct vh_fw_row; [1]: IPv6 */
    GArray *notes;   /* struct vh_fw_note: what is not offloaded and why; once a rule */
    guint noted;     /* rules that have one, also beyond VH_FW_NOTES_MAX */
    guint drops;     /* rows that drop */
} VhFwRows;

/* Both are borrowed, and the result points into the rules. Never fails. */
VhFwRows *vh_fw_translate(const VhNftRules *rules, const struct vh_fw_guest *guest);
void vh_fw_rows_free(VhFwRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhFwRows, vh_fw_rows_free)

/* What the rows do with a packet that has these values: the definition, one row after the other. */
enum vh_fw_action vh_fw_rows_ask(const GArray *rows, const vh_u128 value[VH_FW_FIELDS], guint *row);

/* The highest value of a field. */
vh_u128 vh_fw_field_max(enum vh_fw_field field, bool v6);
const char *vh_fw_field_text(enum vh_fw_field field);
