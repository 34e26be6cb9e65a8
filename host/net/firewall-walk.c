// SPDX-License-Identifier: GPL-2.0-or-later
// Walks chains, rule by rule, and makes rows of their verdicts.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "net/firewall-parts.h"

#define CMP_OPS 6

/* Fields in which two boxes differ; the last one in `field`. */
static guint differences(const struct vh_fw_box *a, const struct vh_fw_box *b,
                         enum vh_fw_field *field)
{
    guint count = 0;

    for (guint i = 0; i < VH_FW_FIELDS; i++) {
        if (a->field[i] != b->field[i]) {
            *field = (enum vh_fw_field)i;
            count++;
        }
    }
    return count;
}

/* Where the test fails is one box if it is of one field; else what passes it is excepted. */
static bool negate(VhFwRule *rule, struct vh_fw_box *box, const struct vh_fw_box *held)
{
    VhFwWork *work = rule->work;
    enum vh_fw_field field = VH_FW_FIELDS;
    guint count = differences(box, held, &field);

    if (!count)
        return false;
    if (count == 1)
        return vh_fw_box_and(
            work, box, field,
            vh_ranges_not(work->store, held->field[field], vh_fw_field_max(field, work->v6)));
    vh_fw_except(rule, held);
    return true;
}

static void compare_all(VhFwRule *rule, const struct vh_fw_test *test, bool negated)
{
    for (guint i = rule->boxes->len; i-- > 0 && vh_fw_step(rule->work, 1);) {
        struct vh_fw_box *box = &g_array_index(rule->boxes, struct vh_fw_box, i);
        struct vh_fw_box held = *box;
        bool left = true;
        bool any = false;

        held.may = false;
        any = vh_fw_narrow(rule, test, &held);
        if (!negated && any)
            memcpy(box->field, held.field, sizeof(box->field));
        else if (negated && any && !held.may)
            left = negate(rule, box, &held);
        else if (!any)
            left = negated;
        box->may |= held.may;
        if (!left)
            g_array_remove_index_fast(rule->boxes, i);
    }
}

static void compare(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    static const enum vh_fw_op ops[CMP_OPS] = {
        [NFT_CMP_EQ] = VH_FW_EQ,   [NFT_CMP_NEQ] = VH_FW_EQ, [NFT_CMP_LT] = VH_FW_LT,
        [NFT_CMP_LTE] = VH_FW_LTE, [NFT_CMP_GT] = VH_FW_GT,  [NFT_CMP_GTE] = VH_FW_GTE};
    bool range = expr->kind == VH_NFT_RANGE;
    struct vh_fw_test test = {.reg = expr->sreg,
                              .len = (uint8_t)expr->data.len,
                              .op = range ? VH_FW_BETWEEN : ops[expr->key],
                              .data = expr->data.data,
                              .data2 = expr->data2.data};
    bool empty = range && memcmp(test.data, test.data2, test.len) > 0;
    bool negated = expr->key == (range ? (uint32_t)NFT_RANGE_NEQ : (uint32_t)NFT_CMP_NEQ);

    if (empty)
        vh_fw_rule_may(rule);
    else
        compare_all(rule, &test, negated);
}

/* A jump's rows stand between this rule's and the next one's; what comes to their end goes on
 * there.
 */
static void jump(VhFwRule *rule, const struct vh_nft_verdict *verdict, const struct vh_fw_box *box)
{
    struct vh_fw_walk walk = *rule->walk;
    bool is_goto = verdict->code == NFT_GOTO;

    walk.chain = verdict->chain;
    walk.box = *box;
    walk.box.may |= rule->walk->box.may;
    walk.depth++;
    walk.back = is_goto ? walk.back : rule->next;
    walk.loose = is_goto && (walk.loose || box->may);
    vh_fw_walk_chain(rule->work, &walk);
    if (is_goto)
        vh_fw_row(rule->work, box, walk.loose ? VH_FW_PASS : VH_FW_GOTO, walk.back, rule->rule);
}

static void carry_out(VhFwRule *rule, const struct vh_nft_verdict *verdict,
                      const struct vh_fw_box *box)
{
    const struct vh_fw_walk *walk = rule->walk;
    bool may = box->may || walk->box.may;

    switch (verdict->code) {
    case NF_DROP:
        if (!may && !walk->nat)
            vh_fw_row(rule->work, box, VH_FW_DROP, 0, rule->rule);
        else
            vh_fw_note(rule->work, rule->rule, "it cannot be told from the packet what it drops");
        break;
    case NF_ACCEPT:
        vh_fw_row(rule->work, box, may ? VH_FW_PASS : VH_FW_GOTO, walk->end, rule->rule);
        break;
    case NFT_RETURN:
        vh_fw_row(rule->work, box, box->may || walk->loose ? VH_FW_PASS : VH_FW_GOTO, walk->back,
                  rule->rule);
        break;
    case NFT_JUMP:
    case NFT_GOTO:
        jump(rule, verdict, box);
        break;
    default:
        vh_fw_row(rule->work, box, VH_FW_PASS, 0, rule->rule);
        vh_fw_note(rule->work, rule->rule, "its verdict is the guest's alone to carry out");
    }
}

static void verdict_all(VhFwRule *rule, const struct vh_nft_verdict *verdict)
{
    for (guint i = 0; i < rule->boxes->len; i++) {
        struct vh_fw_box box = g_array_index(rule->boxes, struct vh_fw_box, i);

        carry_out(rule, verdict, &box);
    }
    g_array_set_size(rule->boxes, 0);
}

static void evaluate(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    switch (expr->kind) {
    case VH_NFT_PAYLOAD:
    case VH_NFT_META:
    case VH_NFT_CT:
    case VH_NFT_EXTHDR:
    case VH_NFT_FIB:
    case VH_NFT_IMMEDIATE:
    case VH_NFT_BITWISE:
    case VH_NFT_BYTEORDER:
        vh_fw_load(rule, expr);
        break;
    case VH_NFT_LOAD:
        memset(rule->reg, 0, sizeof(rule->reg));
        vh_fw_rule_may(rule);
        break;
    case VH_NFT_CMP:
    case VH_NFT_RANGE:
        compare(rule, expr);
        break;
    case VH_NFT_LOOKUP:
        vh_fw_lookup(rule, expr, carry_out);
        break;
    case VH_NFT_MATCH:
        vh_fw_match(rule, expr);
        break;
    case VH_NFT_VERDICT:
        verdict_all(rule, &expr->verdict);
        break;
    case VH_NFT_COUNTER:
    case VH_NFT_SETTER:
        break;
    case VH_NFT_EFFECT:
        vh_fw_note(rule->work, rule->rule, "it does something that a drop by the host would hide");
        vh_fw_rule_pass(rule);
        break;
    case VH_NFT_UNKNOWN:
    case VH_NFT_EXPR_KINDS:
        vh_fw_note(rule->work, rule->rule, "it has an expression that vhint does not know");
        vh_fw_rule_pass(rule);
        break;
    }
}

static void walk_rule(VhFwWork *work, const struct vh_fw_walk *walk, const struct vh_nft_rule *rule)
{
    VhFwRule state = {.work = work, .walk = walk, .rule = rule, .next = vh_fw_label(work)};
    struct vh_fw_box box = walk->box;

    box.may = false;
    state.boxes = g_array_new(FALSE, FALSE, sizeof(box));
    g_array_append_val(state.boxes, box);
    for (guint i = 0; i < rule->exprs->len && state.boxes->len && vh_fw_step(work, 1); i++)
        evaluate(&state, &g_array_index(rule->exprs, struct vh_nft_expr, i));
    g_array_unref(state.boxes);
    vh_fw_put(work, state.next);
}

void vh_fw_walk_chain(VhFwWork *work, const struct vh_fw_walk *walk)
{
    if (walk->depth > VH_FW_DEPTH_MAX)
        vh_fw_stop(work);
    for (guint i = 0; i < walk->chain->rules->len && !work->stopped; i++)
        walk_rule(work, walk, g_ptr_array_index(walk->chain->rules, i));
}
