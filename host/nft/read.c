// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a dump of nf_tables, message by message.
#include "nft/state.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "base/error.h"

static int read_table(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_table *table = NULL;
    const char *name = NULL;
    uint32_t flags = 0;

    if (vh_nft_attrs_read(bytes, NFTA_TABLE_MAX, &attrs) || attrs.beyond)
        return vh_nft_wrong(reader, "a table has attributes that are not known");
    name = vh_nft_text(attrs.at[NFTA_TABLE_NAME], VH_NFT_NAME_MAX);
    if (!name || reader->rules->tables->len >= VH_NFT_TABLES_MAX)
        return vh_nft_wrong(reader, name ? "there are too many tables" : "a table has no name");
    if (attrs.at[NFTA_TABLE_FLAGS].data && vh_nft_u32(attrs.at[NFTA_TABLE_FLAGS], &flags))
        return vh_nft_wrong(reader, "a table's flags do not fit");
    table = g_new0(struct vh_nft_table, 1);
    *table = (struct vh_nft_table){
        .family = reader->family, .name = name, .dormant = flags & NFT_TABLE_F_DORMANT};
    g_ptr_array_add(reader->rules->tables, table);
    if (!g_hash_table_insert(reader->tables, g_strdup_printf("%u\x1f%s", table->family, name),
                             table))
        return vh_nft_wrong(reader, "a table comes twice");
    return 0;
}

/* A device's name, or the beginning of names, which gets a * at its end. */
static int read_device(VhNftReader *reader, struct vh_nft_chain *chain,
                       const struct vh_nft_attr *attr)
{
    const char *name = vh_nft_text(attr->value, 15);

    if (!name || attr->type > 2 || chain->devices->len >= VH_NFT_DEVICES_MAX)
        return vh_nft_wrong(reader, "a chain's device has no fitting name");
    g_ptr_array_add(chain->devices, g_strdup_printf("%s%s", name, attr->type == 2 ? "*" : ""));
    return 0;
}

static int read_hook(VhNftReader *reader, struct vh_nft_chain *chain, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_attr attr = {.type = NFTA_DEVICE_NAME};
    uint32_t priority = 0;
    int got = 0;

    if (vh_nft_attrs_read(bytes, NFTA_HOOK_MAX, &attrs) || attrs.beyond ||
        vh_nft_u32(attrs.at[NFTA_HOOK_HOOKNUM], &chain->hook) ||
        vh_nft_u32(attrs.at[NFTA_HOOK_PRIORITY], &priority))
        return vh_nft_wrong(reader, "a chain's hook does not fit");
    chain->priority = (int32_t)priority;
    chain->base = true;
    attr.value = attrs.at[NFTA_HOOK_DEV];
    if (attr.value.data)
        return read_device(reader, chain, &attr);
    while ((got = vh_nft_attr_next(&attrs.at[NFTA_HOOK_DEVS], &attr)) > 0) {
        if (read_device(reader, chain, &attr))
            return -1;
    }
    return got < 0 ? vh_nft_wrong(reader, "a chain's devices do not fit") : 0;
}

static enum vh_nft_chain_type chain_type(struct vh_nft_bytes bytes)
{
    static const char *const names[] = {"filter", "nat", "route"};
    const char *name = vh_nft_text(bytes, VH_NFT_NAME_MAX);

    for (unsigned i = 0; name && i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(name, names[i]))
            return (enum vh_nft_chain_type)i;
    }
    return VH_NFT_OTHER;
}

static struct vh_nft_chain *add_chain(VhNftReader *reader, const char *name)
{
    struct vh_nft_chain *chain = g_new0(struct vh_nft_chain, 1);

    chain->table = reader->table;
    chain->name = name;
    chain->rules = g_ptr_array_new();
    chain->devices = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(reader->rules->chains, chain);
    return chain;
}

static int read_chain(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_chain *chain = NULL;
    const char *name = NULL;
    uint32_t policy = NF_ACCEPT;

    if (vh_nft_attrs_read(bytes, NFTA_CHAIN_MAX, &attrs) || attrs.beyond)
        return vh_nft_wrong(reader, "a chain has attributes that are not known");
    if (vh_nft_enter(reader, attrs.at[NFTA_CHAIN_TABLE]))
        return vh_nft_wrong(reader, "a chain is of no table");
    name = vh_nft_text(attrs.at[NFTA_CHAIN_NAME], VH_NFT_NAME_MAX);
    if (!name || reader->rules->chains->len >= VH_NFT_CHAINS_MAX)
        return vh_nft_wrong(reader, name ? "there are too many chains" : "a chain has no name");
    chain = add_chain(reader, name);
    if (!g_hash_table_insert(reader->chains, vh_nft_key(reader, name), chain))
        return vh_nft_wrong(reader, "a chain comes twice");
    if (!attrs.at[NFTA_CHAIN_HOOK].data)
        return 0;
    if (attrs.at[NFTA_CHAIN_POLICY].data && vh_nft_u32(attrs.at[NFTA_CHAIN_POLICY], &policy))
        return vh_nft_wrong(reader, "a chain's policy does not fit");
    chain->drops = policy == NF_DROP;
    chain->type = chain_type(attrs.at[NFTA_CHAIN_TYPE]);
    return read_hook(reader, chain, attrs.at[NFTA_CHAIN_HOOK]);
}

static int read_exprs(VhNftReader *reader, struct vh_nft_rule *rule, struct vh_nft_bytes list)
{
    struct vh_nft_attr attr;
    int got = 0;

    while ((got = vh_nft_attr_next(&list, &attr)) > 0) {
        struct vh_nft_expr expr;

        if (rule->exprs->len >= VH_NFT_EXPRS_MAX)
            return vh_nft_wrong(reader, "a rule has too many expressions");
        if (vh_nft_read_expr(reader, attr.value, &expr))
            return -1;
        g_array_append_val(rule->exprs, expr);
    }
    return got < 0 ? vh_nft_wrong(reader, "a list of expressions does not fit") : 0;
}

static int read_rule(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    struct vh_nft_rule *rule = NULL;
    g_autofree char *key = NULL;
    const char *name = NULL;
    struct vh_nft_chain *chain = NULL;

    if (vh_nft_attrs_read(bytes, NFTA_RULE_MAX, &attrs) || attrs.beyond)
        return vh_nft_wrong(reader, "a rule has attributes that are not known");
    name = vh_nft_text(attrs.at[NFTA_RULE_CHAIN], VH_NFT_NAME_MAX);
    if (!name || vh_nft_enter(reader, attrs.at[NFTA_RULE_TABLE]))
        return vh_nft_wrong(reader, "a rule is of no table");
    key = vh_nft_key(reader, name);
    chain = g_hash_table_lookup(reader->chains, key);
    if (!chain || reader->rules->rules->len >= VH_NFT_RULES_MAX)
        return vh_nft_wrong(reader, chain ? "there are too many rules" : "a rule is of no chain");
    rule = g_new0(struct vh_nft_rule, 1);
    rule->chain = chain;
    rule->exprs = g_array_new(FALSE, TRUE, sizeof(struct vh_nft_expr));
    g_ptr_array_add(reader->rules->rules, rule);
    g_ptr_array_add(chain->rules, rule);
    if (attrs.at[NFTA_RULE_HANDLE].len == sizeof(rule->handle)) {
        memcpy(&rule->handle, attrs.at[NFTA_RULE_HANDLE].data, sizeof(rule->handle));
        rule->handle = GUINT64_FROM_BE(rule->handle);
    }
    return read_exprs(reader, rule, attrs.at[NFTA_RULE_EXPRESSIONS]);
}

static int read_object(VhNftReader *reader, struct vh_nft_bytes bytes)
{
    struct vh_nft_attrs attrs;
    uint32_t type = 0;

    if (vh_nft_attrs_read(bytes, NFTA_OBJ_MAX, &attrs) ||
        vh_nft_u32(attrs.at[NFTA_OBJ_TYPE], &type))
        return vh_nft_wrong(reader, "an object has no type");
    reader->rules->helpers |= type == NFT_OBJECT_CT_HELPER || type == NFT_OBJECT_CT_EXPECT;
    return 0;
}

static int read_message(VhNftReader *reader, const struct vh_nft_message *message)
{
    reader->family = message->family;
    switch (message->type) {
    case NFT_MSG_NEWTABLE:
        return read_table(reader, message->attrs);
    case NFT_MSG_NEWCHAIN:
        return read_chain(reader, message->attrs);
    case NFT_MSG_NEWRULE:
        return read_rule(reader, message->attrs);
    case NFT_MSG_NEWSET:
        return vh_nft_read_set(reader, message->attrs);
    case NFT_MSG_NEWSETELEM:
        return vh_nft_read_elems(reader, message->attrs);
    case NFT_MSG_NEWOBJ:
        return read_object(reader, message->attrs);
    case NFT_MSG_NEWFLOWTABLE:
        reader->rules->flowtables = true;
        return 0;
    case NFT_MSG_NEWGEN:
        return 0;
    default:
        return vh_nft_wrong(reader, "its type is not known");
    }
}

static void free_chain(gpointer data)
{
    struct vh_nft_chain *chain = data;

    g_ptr_array_unref(chain->rules);
    g_ptr_array_unref(chain->devices);
    g_free(chain);
}

static void free_rule(gpointer data)
{
    struct vh_nft_rule *rule = data;

    g_array_unref(rule->exprs);
    g_free(rule);
}

static void free_set(gpointer data)
{
    struct vh_nft_set *set = data;

    g_array_unref(set->elems);
    g_free(set);
}

static VhNftRules *rules_new(GBytes *dump)
{
    VhNftRules *rules = g_new0(VhNftRules, 1);

    rules->source = g_bytes_ref(dump);
    rules->tables = g_ptr_array_new_with_free_func(g_free);
    rules->chains = g_ptr_array_new_with_free_func(free_chain);
    rules->rules = g_ptr_array_new_with_free_func(free_rule);
    rules->sets = g_ptr_array_new_with_free_func(free_set);
    return rules;
}

void vh_nft_free(VhNftRules *rules)
{
    if (!rules)
        return;
    g_ptr_array_unref(rules->rules);
    g_ptr_array_unref(rules->chains);
    g_ptr_array_unref(rules->sets);
    g_ptr_array_unref(rules->tables);
    g_bytes_unref(rules->source);
    g_free(rules);
}

static int read_all(VhNftReader *reader, struct vh_nft_bytes rest, GError **error)
{
    struct vh_nft_message message;
    unsigned number = 0;
    int got = 0;

    while ((got = vh_nft_message_next(&rest, &message)) > 0) {
        number++;
        if (read_message(reader, &message)) {
            g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "rules, message %u: %s", number,
                        reader->wrong ? reader->wrong : "it does not fit");
            return -1;
        }
    }
    if (got < 0)
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "rules, message %u: its length is wrong",
                    number + 1);
    return got;
}

VhNftRules *vh_nft_read(GBytes *dump, GError **error)
{
    g_autoptr(VhNftRules) rules = rules_new(dump);
    g_autoptr(GHashTable) tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) chains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) sets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    VhNftReader reader = {.rules = rules, .tables = tables, .chains = chains, .sets = sets};
    struct vh_nft_bytes all;

    all.data = g_bytes_get_data(dump, &all.len);
    if (all.len > VH_NFT_BYTES_MAX) {
        g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                    "rules: %" G_GSIZE_FORMAT " bytes are more than the limit of %" G_GSIZE_FORMAT,
                    all.len, VH_NFT_BYTES_MAX);
        return NULL;
    }
    return read_all(&reader, all, error) ? NULL : g_steal_pointer(&rules);
}
