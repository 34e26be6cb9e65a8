// SPDX-License-Identifier: GPL-2.0-or-later
// Fields, rows and labels: what the translation is made with.
#include <string.h>

#include "net/firewall-parts.h"

/* ---- fields ---- */

gsize vh_fw_field_size(enum vh_fw_field field, bool v6)
{
    if (field == VH_FW_SADDR || field == VH_FW_DADDR)
        return v6 ? 16 : 4;
    return field == VH_FW_TH0 || field == VH_FW_TH2 || field == VH_FW_FRAG ? 2 : 1;
}

vh_u128 vh_fw_number(const uint8_t *data, gsize len)
{
    vh_u128 number = 0;

    for (gsize i = 0; i < len && i < 16; i++)
        number = number << 8 | data[i];
    return number;
}

bool vh_fw_box_and(VhFwWork *work, struct vh_fw_box *box, enum vh_fw_field field,
                   const VhRanges *ranges)
{
    box->field[field] = vh_ranges_and(work->store, box->field[field], ranges);
    return !box->field[field] || box->field[field]->count;
}

static const char *const field_texts[] = {
    [VH_FW_FLOW] = "flow",      [VH_FW_LINK] = "interface",  [VH_FW_PKTTYPE] = "type",
    [VH_FW_PROTO] = "protocol", [VH_FW_NEXT] = "nexthdr",    [VH_FW_TTL] = "ttl",
    [VH_FW_TOS] = "tos",        [VH_FW_FLAGS] = "tcp-flags", [VH_FW_EXT] = "exthdrs",
    [VH_FW_FRAG] = "frag-off",  [VH_FW_TH0] = "sport",       [VH_FW_TH2] = "dport",
    [VH_FW_SADDR] = "saddr",    [VH_FW_DADDR] = "daddr"};
G_STATIC_ASSERT(G_N_ELEMENTS(field_texts) == VH_FW_FIELDS);

const char *vh_fw_field_text(enum vh_fw_field field)
{
    return field_texts[field];
}

vh_u128 vh_fw_field_max(enum vh_fw_field field, bool v6)
{
    gsize size = vh_fw_field_size(field, v6);

    return size == 16 ? ~(vh_u128)0 : ((vh_u128)1 << 8 * size) - 1;
}

/* ---- rows ---- */

guint vh_fw_label(VhFwWork *work)
{
    guint nowhere = G_MAXUINT;

    g_array_append_val(work->labels, nowhere);
    return work->labels->len - 1;
}

void vh_fw_put(VhFwWork *work, guint label)
{
    g_array_index(work->labels, guint, label) = work->rows->len;
}

static void add_row(VhFwWork *work, const struct vh_fw_box *box, enum vh_fw_action action,
                    guint label, const struct vh_nft_rule *rule)
{
    struct vh_fw_row row = {.action = action, .target = label, .rule = rule};

    if (box)
        memcpy(row.field, box->field, sizeof(row.field));
    g_array_append_val(work->rows, row);
}

void vh_fw_stop(VhFwWork *work)
{
    if (work->stopped)
        return;
    add_row(work, NULL, VH_FW_PASS, 0, NULL);
    work->stopped = true;
}

bool vh_fw_step(VhFwWork *work, guint cost)
{
    if (cost > work->steps || work->store->spent)
        vh_fw_stop(work);
    work->steps -= MIN(cost, work->steps);
    return !work->stopped;
}

void vh_fw_row(VhFwWork *work, const struct vh_fw_box *box, enum vh_fw_action action, guint label,
               const struct vh_nft_rule *rule)
{
    if (work->rows->len + 1 >= VH_FW_ROWS_MAX || work->store->spent)
        vh_fw_stop(work);
    if (!work->stopped)
        add_row(work, box, action, label, rule);
}

void vh_fw_note(VhFwWork *work, const struct vh_nft_rule *rule, const char *reason)
{
    struct vh_fw_note note = {rule, reason};

    if (!rule || !g_hash_table_add(work->known, (gpointer)rule))
        return;
    work->out->noted++;
    if (work->out->notes->len < VH_FW_NOTES_MAX)
        g_array_append_val(work->out->notes, note);
}

void vh_fw_rule_may(VhFwRule *rule)
{
    for (guint i = 0; i < rule->boxes->len; i++)
        g_array_index(rule->boxes, struct vh_fw_box, i).may = true;
}

void vh_fw_rule_pass(VhFwRule *rule)
{
    for (guint i = 0; i < rule->boxes->len; i++)
        vh_fw_row(rule->work, &g_array_index(rule->boxes, struct vh_fw_box, i), VH_FW_PASS, 0,
                  rule->rule);
    g_array_set_size(rule->boxes, 0);
}

void vh_fw_except(VhFwRule *rule, const struct vh_fw_box *box)
{
    vh_fw_row(rule->work, box, VH_FW_GOTO, rule->next, rule->rule);
}
