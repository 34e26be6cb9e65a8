// SPDX-License-Identifier: GPL-2.0-or-later
// What a look-up in a set or map says of a packet's fields.
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "net/firewall-parts.h"

#define BOXES_MAX 65536u
#define PAIRS_MAX 512u /* elements whose overlaps are searched for */

/* An element, or an interval of two. Keys are inclusive. */
struct entry {
    const struct vh_nft_elem *elem;
    uint8_t lo[VH_NFT_DATA_MAX];
    uint8_t hi[VH_NFT_DATA_MAX];
};

static int by_key(gconstpointer a, gconstpointer b)
{
    const struct vh_nft_elem *x = *(const struct vh_nft_elem *const *)a;
    const struct vh_nft_elem *y = *(const struct vh_nft_elem *const *)b;
    int order = memcmp(x->key.data, y->key.data, MIN(x->key.len, y->key.len));

    return order ? order : y->end - x->end;
}

/* The last key before this one; false: there is none. */
static bool before(const uint8_t *key, gsize len, uint8_t *out)
{
    memcpy(out, key, len);
    while (len > 0 && out[len - 1]-- == 0)
        len--;
    return len > 0;
}

static void add_entry(GArray *entries, const struct vh_nft_elem *elem, const uint8_t *hi)
{
    struct entry entry = {.elem = elem};

    memcpy(entry.lo, elem->key.data, elem->key.len);
    memcpy(entry.hi, hi, elem->key.len);
    g_array_append_val(entries, entry);
}

/* An interval goes from its element to before the next of either kind, as the kernel looks for the
 * last that is not behind a key. */
static void add_intervals(GArray *entries, const struct vh_nft_set *set, GPtrArray *sorted)
{
    uint8_t hi[VH_NFT_DATA_MAX];

    g_ptr_array_sort(sorted, by_key);
    for (guint i = 0; i < sorted->len; i++) {
        const struct vh_nft_elem *elem = g_ptr_array_index(sorted, i);
        const struct vh_nft_elem *next =
            i + 1 < sorted->len ? g_ptr_array_index(sorted, i + 1) : NULL;

        if (elem->end)
            continue;
        memset(hi, 0xff, sizeof(hi));
        if (next && (!before(next->key.data, set->key_len, hi) ||
                     memcmp(hi, elem->key.data, set->key_len) < 0))
            continue;
        add_entry(entries, elem, hi);
    }
}

static GArray *entries_of(const struct vh_nft_set *set)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(struct entry));
    g_autoptr(GPtrArray) open = g_ptr_array_new();

    for (guint i = 0; i < set->elems->len; i++) {
        const struct vh_nft_elem *elem = &g_array_index(set->elems, struct vh_nft_elem, i);

        if (elem->catchall)
            continue;
        if (elem->key_end.data)
            add_entry(entries, elem, elem->key_end.data);
        else if (set->flags & NFT_SET_INTERVAL && !set->field_count)
            g_ptr_array_add(open, (gpointer)elem);
        else if (!elem->end)
            add_entry(entries, elem, elem->key.data);
    }
    add_intervals(entries, set, open);
    return entries;
}

static const struct vh_nft_elem *catchall_of(const struct vh_nft_set *set)
{
    return set->catchall ? &g_array_index(set->elems, struct vh_nft_elem, set->catchall - 1) : NULL;
}

/* Narrows to where the entry is found: part by part of a concatenation, each of which fills up
 * words of 4 bytes. */
static bool narrow_entry(VhFwRule *rule, const struct vh_nft_expr *expr, const struct entry *entry,
                         struct vh_fw_box *box)
{
    const struct vh_nft_set *set = expr->set;
    guint parts = MAX(set->field_count, 1);
    gsize at = 0;

    box->may |= entry->elem->timed;
    for (guint i = 0; i < parts; i++) {
        gsize len = set->field_count ? set->fields[i] : set->key_len;
        struct vh_fw_test test = {.reg = (uint8_t)(expr->sreg + at), .len = (uint8_t)len};

        if (at + len > set->key_len || expr->sreg + at + len > VH_NFT_REGISTERS) {
            box->may = true;
            return true;
        }
        test.data = entry->lo + at;
        test.data2 = entry->hi + at;
        test.op = memcmp(test.data, test.data2, len) == 0 ? VH_FW_EQ : VH_FW_BETWEEN;
        if (memcmp(test.data, test.data2, len) > 0 || !vh_fw_narrow(rule, &test, box))
            return false;
        at += (len + 3) / 4 * 4;
    }
    return true;
}

/* ---- sets whose keys are one field ---- */

struct both {
    const VhRanges *sure;
    const VhRanges *timed;
};

static struct both union_of(VhFwRule *rule, const struct vh_nft_set *set)
{
    g_autoptr(GArray) entries = entries_of(set);
    g_autoptr(GArray) sure = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    g_autoptr(GArray) timed = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    VhRangeStore *store = rule->work->store;

    vh_fw_step(rule->work, 1 + entries->len);
    for (guint i = 0; i < entries->len; i++) {
        const struct entry *entry = &g_array_index(entries, struct entry, i);
        struct vh_range range = {vh_fw_number(entry->lo, set->key_len),
                                 vh_fw_number(entry->hi, set->key_len)};

        if (range.lo <= range.hi)
            g_array_append_val(entry->elem->timed ? timed : sure, range);
    }
    return (struct both){
        vh_ranges_union(store, (struct vh_range *)(void *)sure->data, sure->len),
        vh_ranges_union(store, (struct vh_range *)(void *)timed->data, timed->len)};
}

/* Rules often share a set; it is made into intervals once. */
static struct both known_union(VhFwRule *rule, const struct vh_nft_set *set)
{
    struct both *known = g_hash_table_lookup(rule->work->unions, set);

    if (!known) {
        known = g_new(struct both, 1);
        *known = union_of(rule, set);
        g_hash_table_insert(rule->work->unions, (gpointer)set, known);
    }
    return *known;
}

static void add_box(GArray *boxes, VhFwWork *work, const struct vh_fw_box *from,
                    enum vh_fw_field field, const VhRanges *ranges, bool may)
{
    struct vh_fw_box box = *from;

    box.may |= may;
    if (vh_fw_box_and(work, &box, field, ranges))
        g_array_append_val(boxes, box);
}

static void look_up_field(VhFwRule *rule, const struct vh_nft_set *set, enum vh_fw_field field,
                          bool inverted)
{
    VhFwWork *work = rule->work;
    struct both both = known_union(rule, set);
    g_autoptr(GArray) boxes = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_box));
    vh_u128 max = vh_fw_field_max(field, work->v6);
    const VhRanges *sure = both.sure;

    if (inverted)
        sure = vh_ranges_and(work->store, vh_ranges_not(work->store, both.sure, max),
                             vh_ranges_not(work->store, both.timed, max));
    for (guint i = 0; i < rule->boxes->len; i++) {
        const struct vh_fw_box *box = &g_array_index(rule->boxes, struct vh_fw_box, i);

        add_box(boxes, work, box, field, sure, false);
        if (both.timed->count)
            add_box(boxes, work, box, field, both.timed, true);
    }
    g_array_unref(rule->boxes);
    rule->boxes = g_steal_pointer(&boxes);
}

/* ---- sets of conntrack's states ---- */

static void look_up_state(VhFwRule *rule, const struct vh_nft_expr *expr, guint states)
{
    g_autoptr(GArray) entries = entries_of(expr->set);
    guint found = 0;

    for (guint state = 0; state < states; state++) {
        bool held = false;

        for (guint i = 0; i < entries->len && vh_fw_step(rule->work, 1); i++) {
            const struct entry *entry = &g_array_index(entries, struct entry, i);
            struct vh_fw_test test = {.reg = expr->sreg,
                                      .len = (uint8_t)expr->set->key_len,
                                      .op = VH_FW_BETWEEN,
                                      .data = entry->lo,
                                      .data2 = entry->hi};

            held |= vh_fw_holds_in(rule, &test, state);
        }
        found += held;
    }
    if (expr->extra & NFT_LOOKUP_F_INV)
        found = states - found;
    if (!found)
        g_array_set_size(rule->boxes, 0);
    else if (found < states)
        vh_fw_rule_may(rule);
}

/* ---- all others ---- */

static void look_up_all(VhFwRule *rule, const struct vh_nft_expr *expr, const GArray *entries)
{
    g_autoptr(GArray) boxes = g_array_new(FALSE, FALSE, sizeof(struct vh_fw_box));

    for (guint i = 0; i < rule->boxes->len; i++) {
        for (guint j = 0; j < entries->len && vh_fw_step(rule->work, 1); j++) {
            struct vh_fw_box box = g_array_index(rule->boxes, struct vh_fw_box, i);

            if (narrow_entry(rule, expr, &g_array_index(entries, struct entry, j), &box))
                g_array_append_val(boxes, box);
        }
        if (boxes->len > BOXES_MAX) {
            vh_fw_stop(rule->work);
            return;
        }
    }
    g_array_unref(rule->boxes);
    rule->boxes = g_steal_pointer(&boxes);
}

/* What is in the set is excepted row by row; what may be in it makes the rest uncertain. */
static void look_up_none(VhFwRule *rule, const struct vh_nft_expr *expr, const GArray *entries)
{
    for (guint i = 0; i < rule->boxes->len; i++) {
        struct vh_fw_box *whole = &g_array_index(rule->boxes, struct vh_fw_box, i);
        bool uncertain = false;

        for (guint j = 0; j < entries->len && vh_fw_step(rule->work, 1); j++) {
            struct vh_fw_box box = *whole;

            box.may = false;
            if (!narrow_entry(rule, expr, &g_array_index(entries, struct entry, j), &box))
                continue;
            uncertain |= box.may;
            if (!box.may)
                vh_fw_except(rule, &box);
        }
        whole->may |= uncertain;
    }
}

static bool parts_meet(const struct vh_nft_set *set, const struct entry *a, const struct entry *b)
{
    gsize at = 0;

    for (guint i = 0; i < MAX(set->field_count, 1); i++) {
        gsize len = set->field_count ? set->fields[i] : set->key_len;

        if (at + len > set->key_len)
            return true;
        if (memcmp(a->lo + at, b->hi + at, len) > 0 || memcmp(b->lo + at, a->hi + at, len) > 0)
            return false;
        at += (len + 3) / 4 * 4;
    }
    return true;
}

/* Whether a key may be found twice, so that it cannot be told which verdict counts. */
static bool overlap(VhFwRule *rule, const struct vh_nft_set *set, const GArray *entries)
{
    if (!(set->flags & NFT_SET_INTERVAL) || !set->field_count)
        return false;
    if (entries->len > PAIRS_MAX || !vh_fw_step(rule->work, entries->len * entries->len / 16))
        return true;
    for (guint i = 0; i < entries->len; i++) {
        for (guint j = i + 1; j < entries->len; j++) {
            if (parts_meet(set, &g_array_index(entries, struct entry, i),
                           &g_array_index(entries, struct entry, j)))
                return true;
        }
    }
    return false;
}

static void look_up_verdict(VhFwRule *rule, const struct vh_nft_expr *expr, const GArray *entries,
                            vh_fw_verdict_fn verdict)
{
    const struct vh_nft_elem *catchall = catchall_of(expr->set);
    bool unsure = overlap(rule, expr->set, entries);
    bool hidden = unsure;

    for (guint i = 0; i < rule->boxes->len; i++) {
        for (guint j = 0; j < entries->len && vh_fw_step(rule->work, 1); j++) {
            const struct entry *entry = &g_array_index(entries, struct entry, j);
            struct vh_fw_box box = g_array_index(rule->boxes, struct vh_fw_box, i);

            if (!narrow_entry(rule, expr, entry, &box))
                continue;
            hidden |= box.may;
            box.may |= unsure;
            verdict(rule, &entry->elem->verdict, &box);
            /* What comes back is not what nothing else was found for. */
            if (catchall && !box.may)
                vh_fw_except(rule, &box);
        }
        if (catchall) {
            struct vh_fw_box box = g_array_index(rule->boxes, struct vh_fw_box, i);

            box.may |= hidden || catchall->timed;
            verdict(rule, &catchall->verdict, &box);
        }
    }
    g_array_set_size(rule->boxes, 0);
}

static void look_up_plain(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    bool inverted = expr->extra & NFT_LOOKUP_F_INV;
    enum vh_fw_field field = vh_fw_whole_field(rule, expr->sreg, expr->set->key_len);
    const struct vh_nft_elem *catchall = catchall_of(expr->set);
    guint states = vh_fw_states(rule, expr->sreg, expr->set->key_len);
    g_autoptr(GArray) entries = NULL;

    if (catchall && (catchall->timed || expr->dreg != VH_NFT_NO_REGISTER)) {
        vh_fw_rule_may(rule);
    } else if (catchall) {
        if (inverted)
            g_array_set_size(rule->boxes, 0);
    } else if (field < VH_FW_FIELDS && expr->set->field_count <= 1) {
        look_up_field(rule, expr->set, field, inverted);
    } else if (states && !expr->set->timed) {
        look_up_state(rule, expr, states);
    } else {
        entries = entries_of(expr->set);
        if (inverted)
            look_up_none(rule, expr, entries);
        else
            look_up_all(rule, expr, entries);
    }
    /* What the map has for it is not followed. */
    if (expr->dreg < VH_NFT_REGISTERS)
        memset(rule->reg + expr->dreg, 0,
               (gsize)(VH_NFT_REGISTERS - expr->dreg) * sizeof(*rule->reg));
}

void vh_fw_lookup(VhFwRule *rule, const struct vh_nft_expr *expr, vh_fw_verdict_fn verdict)
{
    const struct vh_nft_set *set = expr->set;
    bool verdicts = expr->dreg == VH_NFT_REGISTERS;
    bool hidden = set->strange || set->flags & NFT_SET_EVAL;
    g_autoptr(GArray) entries = NULL;

    if (set->stateful || (verdicts && (hidden || set->valued))) {
        vh_fw_rule_pass(rule);
    } else if (hidden) {
        vh_fw_rule_may(rule);
        memset(rule->reg, 0, sizeof(rule->reg));
    } else if (verdicts) {
        entries = entries_of(set);
        look_up_verdict(rule, expr, entries, verdict);
    } else {
        look_up_plain(rule, expr);
    }
}
