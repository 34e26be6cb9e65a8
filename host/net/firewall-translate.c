// SPDX-License-Identifier: GPL-2.0-or-later
// Puts base chains in the order in which packets come to them, and between them what else decides.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>

#include "net/firewall-parts.h"

enum stage { AT_DEVICE, PREROUTING, INPUT, NOWHERE };

/* A base chain at one of its hooks. */
struct base {
    const struct vh_nft_chain *chain;
    enum stage stage;
    guint link; /* AT_DEVICE: number */
};

/* ---- what stands between the chains: number 3 ---- */

static void pass_one(VhFwWork *work, enum vh_fw_field field, const VhRanges *ranges)
{
    struct vh_fw_box box = {0};

    box.field[field] = ranges;
    if (ranges->count)
        vh_fw_row(work, &box, VH_FW_PASS, 0, NULL);
}

static const VhRanges *addresses(VhFwWork *work, GArray *const of[2])
{
    g_autoptr(GArray) copy = g_array_copy(of[work->v6]);

    return vh_ranges_union(work->store, (struct vh_range *)(void *)copy->data, copy->len);
}

static void pass_known_flows(VhFwWork *work)
{
    pass_one(work, VH_FW_FLOW, vh_ranges_one(work->store, VH_FW_FLOW_KNOWN, VH_FW_FLOW_KNOWN));
}

/* Errors belong to the flow of the packet within them. */
static void pass_icmp_errors(VhFwWork *work)
{
    static const uint8_t types4[] = {3, 4, 5, 11, 12};
    struct vh_fw_box box = {0};
    struct vh_range ranges[G_N_ELEMENTS(types4)];
    guint count = work->v6 ? 1 : G_N_ELEMENTS(types4);
    unsigned proto = work->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

    for (guint i = 0; i < G_N_ELEMENTS(types4); i++)
        ranges[i] = (struct vh_range){(unsigned)types4[i] << 8, (unsigned)types4[i] << 8 | 0xff};
    if (work->v6)
        ranges[0] = (struct vh_range){0, 0x7fff};
    box.field[VH_FW_PROTO] = vh_ranges_one(work->store, proto, proto);
    box.field[VH_FW_TH0] = vh_ranges_union(work->store, ranges, count);
    vh_fw_row(work, &box, VH_FW_PASS, 0, NULL);
}

static void cross_to_ip(VhFwWork *work)
{
    work->at_device = false;
    pass_one(work, VH_FW_LINK, vh_ranges_one(work->store, VH_FW_LINK_NO, VH_FW_LINK_NO));
}

/* The guest puts fragments together. Those of IPv6 were passed in the beginning. */
static void cross_defrag(VhFwWork *work)
{
    struct vh_range parts[] = {
        {0x0001, 0x3fff}, {0x4001, 0x7fff}, {0x8001, 0xbfff}, {0xc001, 0xffff}};

    if (!work->v6)
        pass_one(work, VH_FW_FRAG, vh_ranges_union(work->store, parts, G_N_ELEMENTS(parts)));
    work->whole = true;
}

static void cross_conntrack(VhFwWork *work)
{
    pass_known_flows(work);
    pass_one(work, VH_FW_SADDR, addresses(work, work->guest->local));
    pass_one(work, VH_FW_SADDR, addresses(work, work->guest->unseen));
    pass_icmp_errors(work);
}

static void cross_routing(VhFwWork *work)
{
    pass_one(work, VH_FW_DADDR,
             vh_ranges_not(work->store, addresses(work, work->guest->local),
                           vh_fw_field_max(VH_FW_DADDR, work->v6)));
}

static const struct crossing {
    enum stage stage;
    int priority; /* from which on it lies behind */
    void (*cross)(VhFwWork *work);
} crossings[] = {
    {PREROUTING, INT_MIN, cross_to_ip},
    {PREROUTING, NF_IP_PRI_CONNTRACK_DEFRAG, cross_defrag},
    {PREROUTING, NF_IP_PRI_CONNTRACK, cross_conntrack},
    {INPUT, INT_MIN, cross_routing},
    /* Behind it source ports may be others. */
    {INPUT, NF_IP_PRI_NAT_SRC, vh_fw_stop},
};

static bool is_behind(const struct base *base, const struct crossing *crossing)
{
    return base->stage > crossing->stage ||
           (base->stage == crossing->stage && base->chain->priority >= crossing->priority);
}

/* ---- the chains ---- */

static bool is_at(const struct vh_nft_chain *chain, const char *device)
{
    for (guint i = 0; i < chain->devices->len; i++) {
        const char *name = g_ptr_array_index(chain->devices, i);
        gsize len = strlen(name);

        if (len && name[len - 1] == '*' ? !strncmp(name, device, len - 1) : !strcmp(name, device))
            return true;
    }
    return false;
}

static enum stage stage_of(const struct vh_nft_chain *chain, bool v6)
{
    uint8_t family = chain->table->family;

    if (family == NFPROTO_NETDEV)
        return chain->hook == NF_NETDEV_INGRESS ? AT_DEVICE : NOWHERE;
    if (family == NFPROTO_INET && chain->hook == NF_INET_INGRESS)
        return AT_DEVICE;
    if (family != NFPROTO_INET && family != (v6 ? NFPROTO_IPV6 : NFPROTO_IPV4))
        return NOWHERE;
    if (chain->hook == NF_INET_PRE_ROUTING)
        return PREROUTING;
    return chain->hook == NF_INET_LOCAL_IN ? INPUT : NOWHERE;
}

static void add_bases(const VhFwWork *work, const struct vh_nft_chain *chain, GArray *bases)
{
    struct base base = {.chain = chain, .stage = stage_of(chain, work->v6)};

    if (base.stage != AT_DEVICE && base.stage != NOWHERE)
        g_array_append_val(bases, base);
    for (; base.stage == AT_DEVICE && base.link < work->guest->link_count; base.link++) {
        if (is_at(chain, work->guest->links[base.link].name))
            g_array_append_val(bases, base);
    }
}

static int by_order(gconstpointer a, gconstpointer b)
{
    const struct base *x = a;
    const struct base *y = b;

    if (x->stage != y->stage)
        return x->stage < y->stage ? -1 : 1;
    /* A VLAN's interface comes behind the one that it stands on. */
    if (!x->link != !y->link)
        return x->link ? 1 : -1;
    if (x->link != y->link)
        return x->link < y->link ? -1 : 1;
    return (x->chain->priority > y->chain->priority) - (x->chain->priority < y->chain->priority);
}

static GArray *bases_of(const VhFwWork *work)
{
    GArray *bases = g_array_new(FALSE, FALSE, sizeof(struct base));

    for (guint i = 0; i < work->rules->chains->len; i++) {
        const struct vh_nft_chain *chain = g_ptr_array_index(work->rules->chains, i);

        if (chain->base && !chain->table->dormant)
            add_bases(work, chain, bases);
    }
    g_array_sort(bases, by_order);
    return bases;
}

static bool has_effects(const VhFwWork *work, const struct vh_nft_table *table)
{
    for (guint i = 0; i < work->rules->rules->len; i++) {
        const struct vh_nft_rule *rule = g_ptr_array_index(work->rules->rules, i);

        for (guint j = 0; j < rule->exprs->len && rule->chain->table == table; j++) {
            const struct vh_nft_expr *expr = &g_array_index(rule->exprs, struct vh_nft_expr, j);

            if (expr->kind == VH_NFT_EFFECT || expr->kind == VH_NFT_UNKNOWN ||
                (expr->kind == VH_NFT_LOOKUP && expr->set->stateful))
                return true;
        }
    }
    return false;
}

/* Of chains at the same place it cannot be told which comes first. It does not matter if at most
 * one does more than drop, and that one is taken to be the first. */
static bool sort_equals(const VhFwWork *work, struct base *bases, guint count)
{
    guint with = 0;

    for (guint i = 0; i < count && count > 1; i++) {
        if (has_effects(work, bases[i].chain->table)) {
            struct base first = bases[i];

            with++;
            bases[i] = bases[0];
            bases[0] = first;
        }
    }
    return with <= 1;
}

static guint count_equals(const GArray *bases, guint from)
{
    const struct base *first = &g_array_index(bases, struct base, from);
    guint count = 1;

    while (from + count < bases->len &&
           !by_order(first, &g_array_index(bases, struct base, from + count)))
        count++;
    return count;
}

static void walk_base(VhFwWork *work, const struct base *base)
{
    struct vh_fw_walk walk = {.chain = base->chain,
                              .nat = base->chain->type != VH_NFT_FILTER,
                              .back = vh_fw_label(work),
                              .end = vh_fw_label(work)};

    work->at_device = base->stage == AT_DEVICE;
    work->device = base->link;
    if (base->stage == AT_DEVICE && base->link)
        walk.box.field[VH_FW_LINK] = vh_ranges_one(work->store, base->link, base->link);
    vh_fw_walk_chain(work, &walk);
    vh_fw_put(work, walk.back);
    if (base->chain->drops && !walk.nat)
        vh_fw_row(work, &walk.box, VH_FW_DROP, 0, NULL);
    vh_fw_put(work, walk.end);
}

static void walk_all(VhFwWork *work)
{
    g_autoptr(GArray) bases = bases_of(work);
    guint crossed = 0;
    guint equals = 0;

    if (work->v6)
        pass_one(work, VH_FW_EXT, vh_ranges_one(work->store, VH_FW_EXT_FRAG, 255));
    if (work->rules->flowtables)
        pass_known_flows(work);
    for (guint i = 0; i < bases->len; i++) {
        const struct base *base = &g_array_index(bases, struct base, i);

        for (; crossed < G_N_ELEMENTS(crossings) && is_behind(base, &crossings[crossed]); crossed++)
            crossings[crossed].cross(work);
        if (!equals) {
            equals = count_equals(bases, i);
            if (!sort_equals(work, &g_array_index(bases, struct base, i), equals))
                vh_fw_stop(work);
        }
        equals--;
        walk_base(work, base);
    }
}

/* ---- the whole ---- */

static bool types_change(const VhNftRules *rules)
{
    for (guint i = 0; i < rules->rules->len; i++) {
        const struct vh_nft_rule *rule = g_ptr_array_index(rules->rules, i);

        for (guint j = 0; j < rule->exprs->len; j++) {
            const struct vh_nft_expr *expr = &g_array_index(rule->exprs, struct vh_nft_expr, j);

            if (expr->kind == VH_NFT_SETTER && expr->key == NFT_META_PKTTYPE)
                return true;
        }
    }
    return false;
}

/* Rows behind the last that drops change nothing. */
static void finish(VhFwWork *work)
{
    GArray *rows = work->rows;

    for (guint i = 0; i < rows->len; i++) {
        struct vh_fw_row *row = &g_array_index(rows, struct vh_fw_row, i);

        if (row->action != VH_FW_GOTO)
            continue;
        row->target = g_array_index(work->labels, guint, row->target);
        g_assert(row->target > i);
    }
    while (rows->len && g_array_index(rows, struct vh_fw_row, rows->len - 1).action != VH_FW_DROP)
        g_array_set_size(rows, rows->len - 1);
    for (guint i = 0; i < rows->len; i++) {
        struct vh_fw_row *row = &g_array_index(rows, struct vh_fw_row, i);

        row->target = MIN(row->target, rows->len);
        work->out->drops += row->action == VH_FW_DROP;
    }
}

static void translate_one(VhFwRows *out, const VhNftRules *rules, const struct vh_fw_guest *guest,
                          bool v6, GHashTable *known)
{
    g_autoptr(GArray) labels = g_array_new(FALSE, FALSE, sizeof(guint));
    g_autoptr(GHashTable) unions = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    VhFwWork work = {.rules = rules,
                     .guest = guest,
                     .out = out,
                     .store = out->store,
                     .rows = out->rows[v6],
                     .labels = labels,
                     .v6 = v6,
                     .types_change = types_change(rules),
                     .steps = VH_FW_STEPS_MAX,
                     .known = known,
                     .unions = unions};

    walk_all(&work);
    /* What was made with a spent budget may mean nothing. */
    if (out->store->spent)
        vh_fw_stop(&work);
    finish(&work);
}

VhFwRows *vh_fw_translate(const VhNftRules *rules, const struct vh_fw_guest *guest)
{
    VhFwRows *out = g_new0(VhFwRows, 1);
    g_autoptr(GHashTable) known = g_hash_table_new(NULL, NULL);

    g_assert(guest->link_count > 0 && guest->link_count <= VH_FW_LINKS_MAX);
    out->store = vh_range_store_new(VH_RANGES_BUDGET);
    out->notes = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_note));
    for (guint v6 = 0; v6 < 2; v6++) {
        out->rows[v6] = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_row));
        translate_one(out, rules, guest, v6, known);
    }
    return out;
}

void vh_fw_rows_free(VhFwRows *rows)
{
    if (!rows)
        return;
    for (guint v6 = 0; v6 < 2; v6++)
        g_array_unref(rows->rows[v6]);
    g_array_unref(rows->notes);
    vh_range_store_free(rows->store);
    g_free(rows);
}

static bool takes(const struct vh_fw_row *row, const vh_u128 value[VH_FW_FIELDS])
{
    for (guint i = 0; i < VH_FW_FIELDS; i++) {
        if (!vh_ranges_has(row->field[i], value[i]))
            return false;
    }
    return true;
}

enum vh_fw_action vh_fw_rows_ask(const GArray *rows, const vh_u128 value[VH_FW_FIELDS], guint *at)
{
    for (guint i = 0; i < rows->len;) {
        const struct vh_fw_row *row = &g_array_index(rows, struct vh_fw_row, i);

        *at = i;
        if (!takes(row, value))
            i++;
        else if (row->action == VH_FW_GOTO)
            i = row->target;
        else
            return row->action;
    }
    *at = rows->len;
    return VH_FW_PASS;
}
