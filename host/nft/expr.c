// SPDX-License-Identifier: GPL-2.0-or-later
// Reads expressions: one row of a table for each kind that is known.
#include "nft/state.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <string.h>

typedef int (*read_fn)(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                       struct vh_nft_expr *expr);

/* The offset of a register; NFT_REG_1 to 4 are of 16 bytes, NFT_REG32_* of 4. */
static int read_register(struct vh_nft_bytes bytes, uint8_t *offset)
{
    uint32_t number = 0;

    if (vh_nft_u32(bytes, &number))
        return -1;
    if (number >= NFT_REG_1 && number <= NFT_REG_4)
        *offset = (uint8_t)((number - NFT_REG_1) * NFT_REG_SIZE);
    else if (number >= NFT_REG32_00 && number <= NFT_REG32_15)
        *offset = (uint8_t)((number - NFT_REG32_00) * NFT_REG32_SIZE);
    else
        return -1;
    return 0;
}

static int read_value(struct vh_nft_bytes bytes, struct vh_nft_bytes *value)
{
    struct vh_nft_attrs attrs;

    if (!bytes.data || vh_nft_attrs_read(bytes, NFTA_DATA_MAX, &attrs) || attrs.beyond)
        return -1;
    *value = attrs.at[NFTA_DATA_VALUE];
    return value->data && value->len && value->len <= VH_NFT_DATA_MAX ? 0 : -1;
}

/* That many bytes from a register on are within the registers. */
static bool fits(uint8_t offset, gsize len)
{
    return len && offset + len <= VH_NFT_REGISTERS;
}

static int read_len(struct vh_nft_bytes bytes, uint8_t *len)
{
    uint32_t number = 0;

    if (vh_nft_u32(bytes, &number) || !number || number > VH_NFT_REGISTERS)
        return -1;
    *len = (uint8_t)number;
    return 0;
}

static int read_payload(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                        struct vh_nft_expr *expr)
{
    (void)reader;
    if (attrs->at[NFTA_PAYLOAD_SREG].data) {
        expr->kind = VH_NFT_EFFECT;
        return 0;
    }
    return read_register(attrs->at[NFTA_PAYLOAD_DREG], &expr->dreg) ||
                   vh_nft_u32(attrs->at[NFTA_PAYLOAD_BASE], &expr->key) ||
                   vh_nft_u32(attrs->at[NFTA_PAYLOAD_OFFSET], &expr->extra) ||
                   read_len(attrs->at[NFTA_PAYLOAD_LEN], &expr->len) || !fits(expr->dreg, expr->len)
               ? -1
               : 0;
}

static int read_meta(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                     struct vh_nft_expr *expr)
{
    (void)reader;
    if (vh_nft_u32(attrs->at[NFTA_META_KEY], &expr->key))
        return -1;
    if (attrs->at[NFTA_META_SREG].data) {
        /* Somebody waits for the trace of what is marked so. */
        expr->kind = expr->key == NFT_META_NFTRACE ? VH_NFT_EFFECT : VH_NFT_SETTER;
        return 0;
    }
    return read_register(attrs->at[NFTA_META_DREG], &expr->dreg);
}

static int read_ct(VhNftReader *reader, const struct vh_nft_attrs *attrs, struct vh_nft_expr *expr)
{
    if (vh_nft_u32(attrs->at[NFTA_CT_KEY], &expr->key))
        return -1;
    if (attrs->at[NFTA_CT_SREG].data) {
        expr->kind = VH_NFT_SETTER;
        reader->rules->helpers |= expr->key == NFT_CT_HELPER;
        return 0;
    }
    return read_register(attrs->at[NFTA_CT_DREG], &expr->dreg);
}

static int read_exthdr(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                       struct vh_nft_expr *expr)
{
    struct vh_nft_bytes type = attrs->at[NFTA_EXTHDR_TYPE];

    (void)reader;
    if (attrs->at[NFTA_EXTHDR_SREG].data || !attrs->at[NFTA_EXTHDR_DREG].data) {
        expr->kind = VH_NFT_EFFECT; /* changes or takes out options */
        return 0;
    }
    if (type.len != 1 || read_register(attrs->at[NFTA_EXTHDR_DREG], &expr->dreg))
        return -1;
    expr->data = type;
    if (attrs->at[NFTA_EXTHDR_OP].data && vh_nft_u32(attrs->at[NFTA_EXTHDR_OP], &expr->key))
        return -1;
    return attrs->at[NFTA_EXTHDR_FLAGS].data
               ? vh_nft_u32(attrs->at[NFTA_EXTHDR_FLAGS], &expr->extra)
               : 0;
}

static int read_fib(VhNftReader *reader, const struct vh_nft_attrs *attrs, struct vh_nft_expr *expr)
{
    (void)reader;
    return read_register(attrs->at[NFTA_FIB_DREG], &expr->dreg) ||
                   vh_nft_u32(attrs->at[NFTA_FIB_RESULT], &expr->key) ||
                   vh_nft_u32(attrs->at[NFTA_FIB_FLAGS], &expr->extra)
               ? -1
               : 0;
}

static int read_immediate(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                          struct vh_nft_expr *expr)
{
    uint32_t number = 0;
    bool is_verdict = false;

    if (vh_nft_u32(attrs->at[NFTA_IMMEDIATE_DREG], &number) ||
        vh_nft_read_data(reader, attrs->at[NFTA_IMMEDIATE_DATA], &expr->data, &expr->verdict,
                         &is_verdict) ||
        is_verdict != (number == NFT_REG_VERDICT))
        return -1;
    if (is_verdict) {
        expr->kind = VH_NFT_VERDICT;
        return 0;
    }
    expr->len = (uint8_t)expr->data.len;
    return read_register(attrs->at[NFTA_IMMEDIATE_DREG], &expr->dreg) ||
                   !fits(expr->dreg, expr->len)
               ? -1
               : 0;
}

static int read_bitwise(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                        struct vh_nft_expr *expr)
{
    uint32_t op = NFT_BITWISE_BOOL;

    (void)reader;
    if (read_register(attrs->at[NFTA_BITWISE_SREG], &expr->sreg) ||
        read_register(attrs->at[NFTA_BITWISE_DREG], &expr->dreg) ||
        read_len(attrs->at[NFTA_BITWISE_LEN], &expr->len) || !fits(expr->sreg, expr->len) ||
        !fits(expr->dreg, expr->len))
        return -1;
    if (attrs->at[NFTA_BITWISE_OP].data && vh_nft_u32(attrs->at[NFTA_BITWISE_OP], &op))
        return -1;
    if (op != NFT_BITWISE_BOOL)
        return 0; /* without data: nothing is known of what comes out */
    return read_value(attrs->at[NFTA_BITWISE_MASK], &expr->data) ||
                   read_value(attrs->at[NFTA_BITWISE_XOR], &expr->data2) ||
                   expr->data.len != expr->len || expr->data2.len != expr->len
               ? -1
               : 0;
}

static int read_byteorder(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                          struct vh_nft_expr *expr)
{
    (void)reader;
    return read_register(attrs->at[NFTA_BYTEORDER_SREG], &expr->sreg) ||
                   read_register(attrs->at[NFTA_BYTEORDER_DREG], &expr->dreg) ||
                   read_len(attrs->at[NFTA_BYTEORDER_LEN], &expr->len) ||
                   vh_nft_u32(attrs->at[NFTA_BYTEORDER_SIZE], &expr->extra) ||
                   !fits(expr->sreg, expr->len) || !fits(expr->dreg, expr->len)
               ? -1
               : 0;
}

static int read_cmp(VhNftReader *reader, const struct vh_nft_attrs *attrs, struct vh_nft_expr *expr)
{
    (void)reader;
    if (read_register(attrs->at[NFTA_CMP_SREG], &expr->sreg) ||
        vh_nft_u32(attrs->at[NFTA_CMP_OP], &expr->key) || expr->key > NFT_CMP_GTE ||
        read_value(attrs->at[NFTA_CMP_DATA], &expr->data))
        return -1;
    return fits(expr->sreg, expr->data.len) ? 0 : -1;
}

static int read_range(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                      struct vh_nft_expr *expr)
{
    (void)reader;
    if (read_register(attrs->at[NFTA_RANGE_SREG], &expr->sreg) ||
        vh_nft_u32(attrs->at[NFTA_RANGE_OP], &expr->key) || expr->key > NFT_RANGE_NEQ ||
        read_value(attrs->at[NFTA_RANGE_FROM_DATA], &expr->data) ||
        read_value(attrs->at[NFTA_RANGE_TO_DATA], &expr->data2) ||
        expr->data.len != expr->data2.len)
        return -1;
    return fits(expr->sreg, expr->data.len) ? 0 : -1;
}

static int read_lookup(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                       struct vh_nft_expr *expr)
{
    g_autofree char *key = NULL;
    uint32_t dreg = 0;

    expr->text = vh_nft_text(attrs->at[NFTA_LOOKUP_SET], VH_NFT_NAME_MAX);
    if (!expr->text || read_register(attrs->at[NFTA_LOOKUP_SREG], &expr->sreg))
        return -1;
    if (attrs->at[NFTA_LOOKUP_FLAGS].data && vh_nft_u32(attrs->at[NFTA_LOOKUP_FLAGS], &expr->extra))
        return -1;
    key = vh_nft_key(reader, expr->text);
    expr->set = g_hash_table_lookup(reader->sets, key);
    if (!expr->set || !fits(expr->sreg, expr->set->key_len))
        return -1;
    if (!attrs->at[NFTA_LOOKUP_DREG].data)
        return 0;
    if (vh_nft_u32(attrs->at[NFTA_LOOKUP_DREG], &dreg))
        return -1;
    /* VH_NFT_REGISTERS stands for the verdict's register. */
    expr->dreg = VH_NFT_REGISTERS;
    return dreg == NFT_REG_VERDICT ? 0 : read_register(attrs->at[NFTA_LOOKUP_DREG], &expr->dreg);
}

static int read_match(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                      struct vh_nft_expr *expr)
{
    (void)reader;
    expr->text = vh_nft_text(attrs->at[NFTA_MATCH_NAME], VH_NFT_NAME_MAX);
    expr->data = attrs->at[NFTA_MATCH_INFO];
    return !expr->text || !expr->data.data || vh_nft_u32(attrs->at[NFTA_MATCH_REV], &expr->extra)
               ? -1
               : 0;
}

static int read_target(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                       struct vh_nft_expr *expr)
{
    (void)reader;
    expr->text = vh_nft_text(attrs->at[NFTA_TARGET_NAME], VH_NFT_NAME_MAX);
    return expr->text ? 0 : -1;
}

static int read_objref(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                       struct vh_nft_expr *expr)
{
    (void)reader;
    expr->text = vh_nft_text(attrs->at[NFTA_OBJREF_IMM_NAME], VH_NFT_NAME_MAX);
    return 0;
}

/* Packets change this set, and nobody is told. */
static int read_dynset(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                       struct vh_nft_expr *expr)
{
    g_autofree char *key = NULL;

    expr->text = vh_nft_text(attrs->at[NFTA_DYNSET_SET_NAME], VH_NFT_NAME_MAX);
    if (!expr->text)
        return -1;
    key = vh_nft_key(reader, expr->text);
    expr->set = g_hash_table_lookup(reader->sets, key);
    if (!expr->set)
        return -1;
    expr->set->strange = true;
    return 0;
}

static int read_nothing(VhNftReader *reader, const struct vh_nft_attrs *attrs,
                        struct vh_nft_expr *expr)
{
    (void)reader;
    (void)attrs;
    (void)expr;
    return 0;
}

static const struct row {
    const char *name;
    enum vh_nft_expr_kind kind;
    unsigned max; /* the attributes that are known */
    read_fn read;
} rows[] = {
    {"payload", VH_NFT_PAYLOAD, NFTA_PAYLOAD_CSUM_FLAGS, read_payload},
    {"meta", VH_NFT_META, NFTA_META_SREG, read_meta},
    {"ct", VH_NFT_CT, NFTA_CT_SREG, read_ct},
    {"exthdr", VH_NFT_EXTHDR, NFTA_EXTHDR_SREG, read_exthdr},
    {"fib", VH_NFT_FIB, NFTA_FIB_FLAGS, read_fib},
    {"rt", VH_NFT_LOAD, 0, read_nothing},
    {"socket", VH_NFT_LOAD, 0, read_nothing},
    {"hash", VH_NFT_LOAD, 0, read_nothing},
    {"osf", VH_NFT_LOAD, 0, read_nothing},
    {"xfrm", VH_NFT_LOAD, 0, read_nothing},
    {"tunnel", VH_NFT_LOAD, 0, read_nothing},
    {"immediate", VH_NFT_IMMEDIATE, NFTA_IMMEDIATE_DATA, read_immediate},
    {"bitwise", VH_NFT_BITWISE, NFTA_BITWISE_DATA, read_bitwise},
    {"byteorder", VH_NFT_BYTEORDER, NFTA_BYTEORDER_SIZE, read_byteorder},
    {"cmp", VH_NFT_CMP, NFTA_CMP_DATA, read_cmp},
    {"range", VH_NFT_RANGE, NFTA_RANGE_TO_DATA, read_range},
    {"lookup", VH_NFT_LOOKUP, NFTA_LOOKUP_FLAGS, read_lookup},
    {"match", VH_NFT_MATCH, NFTA_MATCH_INFO, read_match},
    {"counter", VH_NFT_COUNTER, NFTA_COUNTER_PAD, read_nothing},
    {"notrack", VH_NFT_SETTER, 0, read_nothing},
    /* What others can tell, whatever its attributes are. */
    {"target", VH_NFT_EFFECT, NFTA_TARGET_INFO, read_target},
    {"objref", VH_NFT_EFFECT, NFTA_OBJREF_SET_ID, read_objref},
    {"numgen", VH_NFT_EFFECT, 0, read_nothing},
    {"log", VH_NFT_EFFECT, 0, read_nothing},
    {"limit", VH_NFT_EFFECT, 0, read_nothing},
    {"quota", VH_NFT_EFFECT, 0, read_nothing},
    {"connlimit", VH_NFT_EFFECT, 0, read_nothing},
    {"last", VH_NFT_EFFECT, 0, read_nothing},
    {"reject", VH_NFT_EFFECT, 0, read_nothing},
    {"nat", VH_NFT_EFFECT, 0, read_nothing},
    {"masq", VH_NFT_EFFECT, 0, read_nothing},
    {"redir", VH_NFT_EFFECT, 0, read_nothing},
    {"queue", VH_NFT_EFFECT, 0, read_nothing},
    {"dynset", VH_NFT_EFFECT, NFTA_DYNSET_EXPRESSIONS, read_dynset},
    {"dup", VH_NFT_EFFECT, 0, read_nothing},
    {"fwd", VH_NFT_EFFECT, 0, read_nothing},
    {"tproxy", VH_NFT_EFFECT, 0, read_nothing},
    {"synproxy", VH_NFT_EFFECT, 0, read_nothing},
    {"flow_offload", VH_NFT_EFFECT, 0, read_nothing},
};

static const struct row *find(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    }
    return NULL;
}

int vh_nft_read_expr(VhNftReader *reader, struct vh_nft_bytes bytes, struct vh_nft_expr *expr)
{
    struct vh_nft_attrs outer;
    struct vh_nft_attrs attrs;
    const struct row *row = NULL;

    *expr = (struct vh_nft_expr){.sreg = VH_NFT_NO_REGISTER, .dreg = VH_NFT_NO_REGISTER};
    if (vh_nft_attrs_read(bytes, NFTA_EXPR_MAX, &outer) || outer.beyond)
        return vh_nft_wrong(reader, "an expression's attributes do not fit");
    expr->name = vh_nft_text(outer.at[NFTA_EXPR_NAME], VH_NFT_NAME_MAX);
    if (!expr->name)
        return vh_nft_wrong(reader, "an expression has no name");
    row = find(expr->name);
    if (!row)
        return 0;
    if (vh_nft_attrs_read(outer.at[NFTA_EXPR_DATA], row->max, &attrs))
        return vh_nft_wrong(reader, "an expression's attributes do not fit");
    if (attrs.beyond && row->kind != VH_NFT_EFFECT && row->kind != VH_NFT_LOAD)
        return 0; /* newer than this reader: unknown */
    expr->kind = row->kind;
    if (row->read(reader, &attrs, expr))
        return vh_nft_wrong(reader, "an expression's value is missing or out of range");
    return 0;
}
