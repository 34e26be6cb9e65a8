// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what all kinds of messages have: names of tables, values, verdicts.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nft/state.h"

int vh_nft_wrong(VhNftReader *reader, const char *what)
{
    if (!reader->wrong)
        reader->wrong = what;
    return -1;
}

/* A unit separator is in no name: these can be printed. */
char *vh_nft_key(const VhNftReader *reader, const char *name)
{
    return g_strdup_printf("%u\x1f%s\x1f%s", reader->table->family, reader->table->name, name);
}

int vh_nft_enter(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    const char *name = vh_nft_text(bytes, VH_NFT_NAME_MAX);
    g_autofree char *key = name ? g_strdup_printf("%u\x1f%s", reader->family, name) : NULL;

    reader->table = key ? g_hash_table_lookup(reader->tables, key) : NULL;
    return reader->table ? 0 : -1;
}

int vh_nft_read_verdict(VhNftReader *reader, struct vh_nft_bytes bytes,
                        struct vh_nft_verdict *verdict)
{
    struct vh_nft_attrs attrs;
    uint32_t code = 0;
    g_autofree char *key = NULL;

    if (vh_nft_attrs_read(bytes, NFTA_VERDICT_MAX, &attrs) ||
        vh_nft_u32(attrs.at[NFTA_VERDICT_CODE], &code))
        return vh_nft_wrong(reader, "a verdict has no code");
    *verdict = (struct vh_nft_verdict){.code = (int32_t)code};
    if (verdict->code != NFT_JUMP && verdict->code != NFT_GOTO)
        return 0;
    verdict->chain_name = vh_nft_text(attrs.at[NFTA_VERDICT_CHAIN], VH_NFT_NAME_MAX);
    if (verdict->chain_name) {
        key = vh_nft_key(reader, verdict->chain_name);
        verdict->chain = g_hash_table_lookup(reader->chains, key);
    }
    return verdict->chain ? 0 : vh_nft_wrong(reader, "a verdict's chain is not there");
}

int vh_nft_read_data(VhNftReader *reader, struct vh_nft_bytes bytes, struct vh_nft_bytes *data,
                     struct vh_nft_verdict *verdict, bool *is_verdict)
{
    struct vh_nft_attrs attrs;

    if (!bytes.data || vh_nft_attrs_read(bytes, NFTA_DATA_MAX, &attrs) || attrs.beyond ||
        !attrs.at[NFTA_DATA_VALUE].data == !attrs.at[NFTA_DATA_VERDICT].data)
        return vh_nft_wrong(reader, "data is neither a value nor a verdict");
    *is_verdict = attrs.at[NFTA_DATA_VERDICT].data;
    if (*is_verdict)
        return vh_nft_read_verdict(reader, attrs.at[NFTA_DATA_VERDICT], verdict);
    *data = attrs.at[NFTA_DATA_VALUE];
    return data->len && data->len <= VH_NFT_DATA_MAX
               ? 0
               : vh_nft_wrong(reader, "the length of a value is out of range");
}
