// SPDX-License-Identifier: GPL-2.0-or-later
// The firewall as a kind of offload: from what the guest told to programs in the kernel.
#include "net/firewall-kind.h"

#include <bpf/bpf.h>
#include <errno.h>

#include "base/error.h"
#include "net/firewall-instance.h"
#include "net/firewall-told.h"

struct VhSlot {
    VhFwInstance *instance;
    char *left_out;
};

static void slot_free(VhSlot *slot)
{
    if (!slot)
        return;
    vh_fw_instance_free(slot->instance);
    g_free(slot->left_out);
    g_free(slot);
}

static char *explain_rows(const VhFwRows *rows, bool conntrack)
{
    GString *text = g_string_new(NULL);

    if (conntrack)
        g_string_append(text, "all rules behind priority -200: the guest's flows are not known\n");
    for (guint i = 0; i < rows->notes->len; i++) {
        const struct vh_fw_note *note = &g_array_index(rows->notes, struct vh_fw_note, i);
        const struct vh_nft_chain *chain = note->rule->chain;

        g_string_append_printf(text, "table %s, chain %s, rule %" G_GUINT64_FORMAT ": %s\n",
                               chain->table->name, chain->name, note->rule->handle, note->reason);
    }
    if (rows->noted > rows->notes->len)
        g_string_append_printf(text, "%u more rules\n", rows->noted - rows->notes->len);
    if (text->len)
        g_string_truncate(text, text->len - 1);
    return g_string_free(text, text->len == 0);
}

static int check_memory(const VhFwTables *tables, const struct vh_slot_order *order, GError **error)
{
    gsize bytes = vh_fw_tables_bytes(tables);

    if (bytes <= order->memory)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED,
                "the rules need %" G_GSIZE_FORMAT " KiB of tables; offload-memory allows "
                "%" G_GUINT64_FORMAT,
                bytes >> 10, order->memory >> 10);
    return -1;
}

/* Where the guest has no conntrack, it knows no flows. */
static int set_sight(const VhSlot *slot, bool conntrack, GError **error)
{
    guint32 key = VH_FW_SIGHT_COMPLETE;
    guint32 complete = !conntrack;

    if (bpf_map_update_elem(vh_fw_instance_map(slot->instance, "vh_fw_sight"), &key, &complete,
                            BPF_ANY) == 0)
        return 0;
    g_set_error(error, VH_ERROR, VH_ERROR_FAILED, "the firewall's flows: %s", g_strerror(errno));
    return -1;
}

static VhSlot *load(const VhNetMaps *maps, const struct vh_slot_order *order, GError **error)
{
    g_autoptr(VhFwTold) told = vh_fw_told_read(order->wants, error);
    g_autoptr(VhNftRules) rules = told ? vh_nft_read(told->dump, error) : NULL;
    g_autoptr(VhFwRows) rows = rules ? vh_fw_translate(rules, &told->guest) : NULL;
    g_autoptr(VhFwTables) tables = rows ? vh_fw_tables_new(rows, error) : NULL;
    VhSlot *slot = NULL;

    if (!tables || check_memory(tables, order, error))
        return NULL;
    if (!rows->drops) {
        g_set_error_literal(error, VH_ERROR, VH_ERROR_REFUSED,
                            "no rule of the guest's drops what vhint can tell");
        return NULL;
    }
    slot = g_new0(VhSlot, 1);
    slot->left_out = explain_rows(rows, told->conntrack);
    slot->instance = vh_fw_instance_new(maps, tables, &told->guest, told->mac,
                                        order->former ? order->former->instance : NULL, error);
    if (slot->instance && !set_sight(slot, told->conntrack, error) &&
        !vh_fw_instance_set_mode(slot->instance, VH_FW_SHADOW, error))
        return slot;
    slot_free(slot);
    return NULL;
}

static int program(const VhSlot *slot, enum vh_hook hook)
{
    return vh_fw_instance_program(slot->instance, hook);
}

static void act(VhSlot *slot, bool act)
{
    g_autoptr(GError) error = NULL;

    /* The map is there, and so is its element. */
    if (vh_fw_instance_set_mode(slot->instance, act ? VH_FW_ON : VH_FW_SHADOW, &error))
        g_warning("%s", error->message);
}

static guint64 hits(const VhSlot *slot)
{
    g_autoptr(GArray) drops = vh_fw_instance_drops(slot->instance);
    guint64 sum = 0;

    for (guint i = 0; i < drops->len; i++)
        sum += g_array_index(drops, guint64, i);
    return sum;
}

static char *explain(const VhSlot *slot)
{
    return g_strdup(slot->left_out);
}

const struct vh_slot_kind vh_net_firewall = {.name = "firewall",
                                             .stage = VH_STAGE_FIREWALL,
                                             .gather = vh_fw_told_gather,
                                             .load = load,
                                             .program = program,
                                             .act = act,
                                             .hits = hits,
                                             .explain = explain,
                                             .free = slot_free};
