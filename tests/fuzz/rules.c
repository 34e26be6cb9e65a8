// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the reader of a guest's rules and their translation: whatever is read becomes rows that
// end.
#include <stdlib.h>
#include <string.h>

#include "net/firewall.h"

static void check(bool held)
{
    if (!held)
        abort();
}

static struct vh_fw_guest *guest_of(void)
{
    static struct vh_fw_guest guest = {
        .links = {{.name = "eth0", .index = 2}, {.name = "eth0.10", .index = 3, .vlan = 10}},
        .link_count = 2};
    struct vh_range local = {0x0a000001, 0x0a000001};

    for (int i = 0; i < 2 && !guest.local[1]; i++) {
        guest.local[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
        guest.unseen[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
        g_array_append_val(guest.local[i], local);
    }
    return &guest;
}

static void check_ranges(const VhRanges *ranges, vh_u128 max)
{
    for (guint i = 0; ranges && i < ranges->count; i++) {
        check(ranges->at[i].lo <= ranges->at[i].hi && ranges->at[i].hi <= max);
        check(!i || ranges->at[i - 1].hi < ranges->at[i].lo);
    }
}

static void check_rows(const GArray *rows, bool v6)
{
    vh_u128 values[VH_FW_FIELDS] = {0};
    guint at = 0;

    check(rows->len <= VH_FW_ROWS_MAX);
    for (guint i = 0; i < rows->len; i++) {
        const struct vh_fw_row *row = &g_array_index(rows, struct vh_fw_row, i);

        check(row->action != VH_FW_GOTO || (row->target > i && row->target <= rows->len));
        for (guint f = 0; f < VH_FW_FIELDS; f++)
            check_ranges(row->field[f], vh_fw_field_max((enum vh_fw_field)f, v6));
        /* A packet at the edge of each row ends somewhere. */
        for (guint f = 0; f < VH_FW_FIELDS; f++)
            values[f] = row->field[f] && row->field[f]->count ? row->field[f]->at[0].lo : values[f];
        if (i < 64)
            check(vh_fw_rows_ask(rows, values, &at) != VH_FW_GOTO && at <= rows->len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) dump = g_bytes_new(bytes, len);
    g_autoptr(VhNftRules) rules = vh_nft_read(dump, &error);
    g_autoptr(VhFwRows) rows = NULL;

    check(!rules == !!error);
    if (!rules)
        return 0;
    rows = vh_fw_translate(rules, guest_of());
    check_rows(rows->rows[0], false);
    check_rows(rows->rows[1], true);
    return 0;
}
