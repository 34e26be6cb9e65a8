// SPDX-License-Identifier: GPL-2.0-or-later
// What a rule's expressions load into its registers.
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "net/firewall-parts.h"

struct place {
    uint8_t offset;
    uint8_t len;
    enum vh_fw_field field;
};

static const struct place places4[] = {{1, 1, VH_FW_TOS},    {6, 2, VH_FW_FRAG},
                                       {8, 1, VH_FW_TTL},    {9, 1, VH_FW_PROTO},
                                       {12, 4, VH_FW_SADDR}, {16, 4, VH_FW_DADDR}};
static const struct place places6[] = {
    {6, 1, VH_FW_NEXT}, {7, 1, VH_FW_TTL}, {8, 16, VH_FW_SADDR}, {24, 16, VH_FW_DADDR}};
static const struct place places_transport[] = {
    {0, 2, VH_FW_TH0}, {2, 2, VH_FW_TH2}, {13, 1, VH_FW_FLAGS}};

static struct vh_fw_byte byte_at(const struct place *places, gsize count, uint32_t offset)
{
    for (gsize i = 0; i < count; i++) {
        if (offset >= places[i].offset && offset < (uint32_t)places[i].offset + places[i].len)
            return (struct vh_fw_byte){.source = VH_FW_BYTE_FIELD,
                                       .field = places[i].field,
                                       .at = (uint8_t)(offset - places[i].offset),
                                       .mask = 0xff};
    }
    return (struct vh_fw_byte){.source = VH_FW_BYTE_UNKNOWN};
}

static void set_const(struct vh_fw_byte *reg, const void *data, gsize len)
{
    for (gsize i = 0; i < len; i++)
        reg[i] = (struct vh_fw_byte){
            .source = VH_FW_BYTE_CONST, .value = ((const uint8_t *)data)[i], .mask = 0xff};
}

/* `len` bytes of one source. */
static void set_bytes(struct vh_fw_byte *reg, gsize len, enum vh_fw_source source,
                      enum vh_fw_field field)
{
    for (gsize i = 0; i < len; i++)
        reg[i] =
            (struct vh_fw_byte){.source = source, .field = field, .at = (uint8_t)i, .mask = 0xff};
}

/* The kernel fills a register's word up with zeros. */
static void pad(VhFwRule *rule, uint8_t reg, gsize len)
{
    static const uint8_t zeros[4];

    if (len % 4 && reg + len + 4 - len % 4 <= VH_NFT_REGISTERS)
        set_const(rule->reg + reg + len, zeros, 4 - len % 4);
}

/* Whether all that the rule can do is drop. */
static bool only_drops(const struct vh_nft_rule *rule)
{
    bool drops = false;

    for (guint i = 0; i < rule->exprs->len; i++) {
        const struct vh_nft_expr *expr = &g_array_index(rule->exprs, struct vh_nft_expr, i);

        if (expr->kind == VH_NFT_EFFECT || expr->kind == VH_NFT_UNKNOWN ||
            (expr->kind == VH_NFT_LOOKUP && expr->dreg == VH_NFT_REGISTERS))
            return false;
        drops |= expr->kind == VH_NFT_VERDICT && expr->verdict.code == NF_DROP;
    }
    return drops;
}

/* Behind the IP header of a later fragment is no transport header. Some kernels read one there,
 * others do not: what it says cannot be told, and such packets leave the translation of the rule
 * here. */
static void leave_fragments(VhFwRule *rule)
{
    VhFwWork *work = rule->work;
    struct vh_range first[8];
    const VhRanges *firsts = NULL;
    const VhRanges *later = NULL;

    for (guint i = 0; i < 8; i++)
        first[i] = (struct vh_range){i << 13, i << 13};
    firsts = vh_ranges_union(work->store, first, 8);
    later = vh_ranges_not(work->store, firsts, vh_fw_field_max(VH_FW_FRAG, false));
    for (guint i = rule->boxes->len; i-- > 0;) {
        struct vh_fw_box *box = &g_array_index(rule->boxes, struct vh_fw_box, i);
        struct vh_fw_box rest = *box;

        if (vh_fw_box_and(work, &rest, VH_FW_FRAG, later) && !only_drops(rule->rule))
            vh_fw_row(work, &rest, VH_FW_PASS, 0, rule->rule);
        if (!vh_fw_box_and(work, box, VH_FW_FRAG, firsts))
            g_array_remove_index_fast(rule->boxes, i);
    }
}

/* Rows that look at TCP's flags are of TCP only. */
static bool needs_transport(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    VhFwWork *work = rule->work;
    const VhRanges *tcp = vh_ranges_one(work->store, IPPROTO_TCP, IPPROTO_TCP);

    for (guint i = 0; i < rule->boxes->len && expr->extra + expr->len > 4; i++) {
        if (!vh_ranges_within(g_array_index(rule->boxes, struct vh_fw_box, i).field[VH_FW_PROTO],
                              tcp))
            return false;
    }
    if (!work->whole && !work->v6)
        leave_fragments(rule);
    return true;
}

static void load_payload(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    struct vh_fw_byte *reg = rule->reg + expr->dreg;

    memset(reg, 0, expr->len * sizeof(*reg));
    pad(rule, expr->dreg, expr->len);
    if (expr->extra > 64 ||
        (expr->key == NFT_PAYLOAD_TRANSPORT_HEADER && !needs_transport(rule, expr)))
        return;
    for (uint32_t i = 0; i < expr->len; i++) {
        if (expr->key == NFT_PAYLOAD_TRANSPORT_HEADER)
            reg[i] = byte_at(places_transport, G_N_ELEMENTS(places_transport), expr->extra + i);
        else if (expr->key == NFT_PAYLOAD_NETWORK_HEADER && rule->work->v6)
            reg[i] = byte_at(places6, G_N_ELEMENTS(places6), expr->extra + i);
        else if (expr->key == NFT_PAYLOAD_NETWORK_HEADER)
            reg[i] = byte_at(places4, G_N_ELEMENTS(places4), expr->extra + i);
    }
}

/* The interface is known at a netdev hook; behind it, VH_FW_LINK tells. */
static void load_link(VhFwRule *rule, struct vh_fw_byte *reg, bool name)
{
    const VhFwWork *work = rule->work;
    const struct vh_fw_link *link = &work->guest->links[work->device];

    if (work->at_device && name)
        set_const(reg, link->name, sizeof(link->name));
    else if (work->at_device)
        set_const(reg, &link->index, sizeof(link->index));
    else
        set_bytes(reg, name ? 16 : 4, name ? VH_FW_BYTE_NAME : VH_FW_BYTE_INDEX, VH_FW_LINK);
}

static void load_meta(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    const VhFwWork *work = rule->work;
    struct vh_fw_byte *reg = rule->reg + expr->dreg;
    uint8_t nfproto = work->v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
    uint16_t protocol = GUINT16_TO_BE(work->v6 ? ETH_P_IPV6 : ETH_P_IP);
    uint16_t type = ARPHRD_ETHER;
    gsize room = (gsize)(VH_NFT_REGISTERS - expr->dreg);
    gsize len = expr->key == NFT_META_IIFNAME || expr->key == NFT_META_OIFNAME ? 16 : 4;

    memset(reg, 0, MIN(len, room) * sizeof(*reg));
    if (len > room)
        return;
    if (expr->key == NFT_META_NFPROTO)
        set_const(reg, &nfproto, 1);
    else if (expr->key == NFT_META_PROTOCOL)
        set_const(reg, &protocol, 2);
    else if (expr->key == NFT_META_IFTYPE)
        set_const(reg, &type, 2);
    else if (expr->key == NFT_META_L4PROTO)
        set_bytes(reg, 1, VH_FW_BYTE_FIELD, VH_FW_PROTO);
    else if (expr->key == NFT_META_PKTTYPE && !work->types_change)
        set_bytes(reg, 1, VH_FW_BYTE_FIELD, VH_FW_PKTTYPE);
    else if (expr->key == NFT_META_IIFNAME || expr->key == NFT_META_IIF)
        load_link(rule, reg, expr->key == NFT_META_IIFNAME);
    else
        return;
    if (reg[1].source == VH_FW_BYTE_UNKNOWN)
        pad(rule, expr->dreg, 1);
    else if (reg[2].source == VH_FW_BYTE_UNKNOWN)
        pad(rule, expr->dreg, 2);
}

static void load_exthdr(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    static const struct {
        uint8_t type;
        uint8_t bit;
    } bits[] = {{IPPROTO_HOPOPTS, VH_FW_EXT_HOP},
                {IPPROTO_DSTOPTS, VH_FW_EXT_DEST},
                {IPPROTO_ROUTING, VH_FW_EXT_ROUTE}};
    struct vh_fw_byte *reg = rule->reg + expr->dreg;

    memset(reg, 0, sizeof(*reg));
    for (gsize i = 0; i < G_N_ELEMENTS(bits); i++) {
        if (rule->work->v6 && expr->key == NFT_EXTHDR_OP_IPV6 &&
            expr->extra == NFT_EXTHDR_F_PRESENT && expr->data.data[0] == bits[i].type)
            *reg = (struct vh_fw_byte){
                .source = VH_FW_BYTE_EXT, .field = VH_FW_EXT, .value = bits[i].bit, .mask = 0xff};
    }
    pad(rule, expr->dreg, 1);
}

static void change(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    struct vh_fw_byte former[VH_NFT_REGISTERS];

    memcpy(former, rule->reg, sizeof(former));
    for (gsize i = 0; i < expr->len; i++) {
        struct vh_fw_byte *reg = &rule->reg[expr->dreg + i];

        *reg = former[expr->sreg + i];
        if (!expr->data.data || expr->kind != VH_NFT_BITWISE) {
            *reg = (struct vh_fw_byte){0};
            continue;
        }
        reg->mask &= expr->data.data[i];
        reg->flip = (uint8_t)((reg->flip & expr->data.data[i]) ^ expr->data2.data[i]);
    }
}

/* At most this much is written by any: 16 bytes of an address or a name. */
static void load_unknown(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    memset(rule->reg + expr->dreg, 0, MIN(16, VH_NFT_REGISTERS - expr->dreg) * sizeof(*rule->reg));
}

static bool any_unknown(const struct vh_fw_byte *reg, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        if (reg[i].source == VH_FW_BYTE_UNKNOWN)
            return true;
    }
    return false;
}

void vh_fw_load(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    if (expr->kind == VH_NFT_PAYLOAD) {
        load_payload(rule, expr);
    } else if (expr->kind == VH_NFT_META) {
        load_meta(rule, expr);
    } else if (expr->kind == VH_NFT_EXTHDR) {
        load_exthdr(rule, expr);
    } else if (expr->kind == VH_NFT_IMMEDIATE) {
        set_const(rule->reg + expr->dreg, expr->data.data, expr->len);
        pad(rule, expr->dreg, expr->len);
    } else if (expr->kind == VH_NFT_BITWISE || expr->kind == VH_NFT_BYTEORDER) {
        change(rule, expr);
    } else if (expr->kind == VH_NFT_CT && expr->key == NFT_CT_STATE &&
               expr->dreg + 4 <= VH_NFT_REGISTERS) {
        set_bytes(rule->reg + expr->dreg, 4, VH_FW_BYTE_STATE, VH_FW_FIELDS);
    } else {
        load_unknown(rule, expr);
    }
    /* What is not known may also be missing, and then the rule does not match. */
    if (expr->kind != VH_NFT_BITWISE && expr->kind != VH_NFT_BYTEORDER &&
        any_unknown(rule->reg + expr->dreg, MAX(expr->len, 1)))
        vh_fw_rule_may(rule);
}
