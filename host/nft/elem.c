// SPDX-License-Identifier: GPL-2.0-or-later
// Reads sets and their elements.
#include "nft/state.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* Attributes of sets that kernels have added since and that only inform: type and count. */
#define SET_ATTR_INFORMS_MAX 20u

static int read_field(VhNftReader *reader, struct vh_nft_bytes bytes, struct vh_nft_set *set)
{
    struct vh_nft_attrs attrs;
    uint32_t len = 0;

    if (vh_nft_attrs_read(bytes, NFTA_SET_FIELD_MAX, &attrs) || attrs.beyond ||
        vh_nft_u32(attrs.at[NFTA_SET_FIELD_LEN], &len) || !len || len > VH_NFT_DATA_MAX ||
        set->field_count >= VH_NFT_FIELDS_MAX)
        return vh_nft_wrong(reader, "a field of a concatenation has no fitting length");
    set->fields[set->field_count++] = (uint8_t)len;
    return 0;
}

static int read_desc(VhNftReader *reader, struct vh_nft_bytes bytes, struct vh_nft_set *set)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_bytes fields;
    struct vh_nft_attr attr;
    int got = 0;

    if (vh_nft_attrs_read(bytes, NFTA_SET_DESC_MAX, &attrs))
        return vh_nft_wrong(reader, "a set's description does not fit");
    set->strange |= attrs.beyond;
    fields = attrs.at[NFTA_SET_DESC_CONCAT];
    while ((got = vh_nft_attr_next(&fields, &attr)) > 0) {
        if (read_field(reader, attr.value, set))
            return -1;
    }
    return got < 0 ? vh_nft_wrong(reader, "a set's description does not fit") : 0;
}

int vh_nft_read_set(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_set *set = NULL;
    const char *name = NULL;

    if (vh_nft_attrs_read(bytes, SET_ATTR_INFORMS_MAX, &attrs) ||
        vh_nft_enter(reader, attrs.at[NFTA_SET_TABLE]))
        return vh_nft_wrong(reader, "a set is of no table");
    name = vh_nft_text(attrs.at[NFTA_SET_NAME], VH_NFT_NAME_MAX);
    if (!name || reader->rules->sets->len >= VH_NFT_SETS_MAX)
        return vh_nft_wrong(reader, name ? "there are too many sets" : "a set has no name");
    set = g_new0(struct vh_nft_set, 1);
    set->elems = g_array_new(FALSE, TRUE, sizeof(struct vh_nft_elem));
    set->table = reader->table;
    set->name = name;
    set->strange = attrs.beyond;
    g_ptr_array_add(reader->rules->sets, set);
    if (!g_hash_table_insert(reader->sets, vh_nft_key(reader, name), set))
        return vh_nft_wrong(reader, "a set comes twice");
    if (attrs.at[NFTA_SET_FLAGS].data && vh_nft_u32(attrs.at[NFTA_SET_FLAGS], &set->flags))
        return vh_nft_wrong(reader, "a set's flags do not fit");
    if (vh_nft_u32(attrs.at[NFTA_SET_KEY_LEN], &set->key_len) || !set->key_len ||
        set->key_len > VH_NFT_DATA_MAX)
        return vh_nft_wrong(reader, "the length of a set's keys is out of range");
    set->strange |= set->flags > (NFT_SET_EXPR << 1) - 1;
    return read_desc(reader, attrs.at[NFTA_SET_DESC], set);
}

/* Whether it is more than a counter that looking this element up runs. */
static bool is_stateful(struct vh_nft_bytes expr, struct vh_nft_bytes list)
{
    struct vh_nft_attr attr = {.value = expr};
    struct vh_nft_attrs attrs;
    int got = expr.data ? 1 : vh_nft_attr_next(&list, &attr);

    while (got > 0) {
        const char *name = NULL;

        if (vh_nft_attrs_read(attr.value, NFTA_EXPR_MAX, &attrs))
            return true;
        name = vh_nft_text(attrs.at[NFTA_EXPR_NAME], VH_NFT_NAME_MAX);
        if (!name || strcmp(name, "counter") != 0)
            return true;
        got = vh_nft_attr_next(&list, &attr);
    }
    return got < 0;
}

static int read_key(VhNftReader *reader, const struct vh_nft_set *set, struct vh_nft_bytes bytes,
                    struct vh_nft_bytes *key)
{
    struct vh_nft_verdict none;
    bool is_verdict = false;

    if (vh_nft_read_data(reader, bytes, key, &none, &is_verdict) || is_verdict ||
        key->len != set->key_len)
        return vh_nft_wrong(reader, "an element's key does not fit its set");
    return 0;
}

static int read_elem(VhNftReader *reader, struct vh_nft_set *set, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_elem elem = {0};
    uint32_t flags = 0;

    if (vh_nft_attrs_read(bytes, NFTA_SET_ELEM_MAX, &attrs))
        return vh_nft_wrong(reader, "an element's attributes do not fit");
    if (attrs.at[NFTA_SET_ELEM_FLAGS].data && vh_nft_u32(attrs.at[NFTA_SET_ELEM_FLAGS], &flags))
        return vh_nft_wrong(reader, "an element's flags do not fit");
    set->strange |= attrs.beyond || flags > (NFT_SET_ELEM_INTERVAL_END | NFT_SET_ELEM_CATCHALL);
    elem.end = flags & NFT_SET_ELEM_INTERVAL_END;
    elem.catchall = flags & NFT_SET_ELEM_CATCHALL;
    elem.timed = attrs.at[NFTA_SET_ELEM_TIMEOUT].data || attrs.at[NFTA_SET_ELEM_EXPIRATION].data;
    elem.stateful = attrs.at[NFTA_SET_ELEM_OBJREF].data ||
                    is_stateful(attrs.at[NFTA_SET_ELEM_EXPR], attrs.at[NFTA_SET_ELEM_EXPRESSIONS]);
    set->timed |= elem.timed;
    set->stateful |= elem.stateful;
    if (!elem.catchall && read_key(reader, set, attrs.at[NFTA_SET_ELEM_KEY], &elem.key))
        return -1;
    if (attrs.at[NFTA_SET_ELEM_KEY_END].data &&
        read_key(reader, set, attrs.at[NFTA_SET_ELEM_KEY_END], &elem.key_end))
        return -1;
    if (attrs.at[NFTA_SET_ELEM_DATA].data &&
        vh_nft_read_data(reader, attrs.at[NFTA_SET_ELEM_DATA], &elem.data, &elem.verdict,
                         &elem.has_verdict))
        return vh_nft_wrong(reader, "an element's data does not fit");
    set->valued |= !elem.has_verdict && !elem.end;
    g_array_append_val(set->elems, elem);
    if (elem.catchall)
        set->catchall = set->elems->len;
    return 0;
}

int vh_nft_read_elems(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_attr attr;
    struct vh_nft_bytes list;
    struct vh_nft_set *set = NULL;
    g_autofree char *key = NULL;
    const char *name = NULL;
    int got = 0;

    if (vh_nft_attrs_read(bytes, NFTA_SET_ELEM_LIST_MAX, &attrs) ||
        vh_nft_enter(reader, attrs.at[NFTA_SET_ELEM_LIST_TABLE]))
        return vh_nft_wrong(reader, "elements are of no table");
    name = vh_nft_text(attrs.at[NFTA_SET_ELEM_LIST_SET], VH_NFT_NAME_MAX);
    key = name ? vh_nft_key(reader, name) : NULL;
    set = key ? g_hash_table_lookup(reader->sets, key) : NULL;
    if (!set)
        return vh_nft_wrong(reader, "elements are of no set");
    list = attrs.at[NFTA_SET_ELEM_LIST_ELEMENTS];
    while ((got = vh_nft_attr_next(&list, &attr)) > 0) {
        if (reader->rules->elems++ >= VH_NFT_ELEMS_MAX)
            return vh_nft_wrong(reader, "there are too many elements");
        if (read_elem(reader, set, attr.value))
            return -1;
    }
    return got < 0 ? vh_nft_wrong(reader, "a list of elements does not fit") : 0;
}
