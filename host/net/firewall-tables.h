/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows as the tables by which BPF finds them: host-bpf/rows.h tells how. Pure. */
#pragma once

#include "net/firewall.h"
#include "rows.h"

#define VH_FW_CLASSES_MAX 200000u
#define VH_FW_EDGES_MAX (1u << VH_FW_SEARCH)

typedef struct {
    struct vh_fw_config config; /* but for mac */
    GArray *blocks;             /* struct vh_fw_block */
    GArray *classes;            /* struct vh_fw_class */
    GArray *smalls;             /* guint32 */
    GArray *words;              /* guint32[2] */
    GArray *edges;              /* struct vh_fw_edge */
    GArray *actions;            /* guint32 */
    GArray *droppers; /* const struct vh_nft_rule *: by number of counter; NULL: a policy */
} VhFwTables;

/* NULL and VH_ERROR_REFUSED if they are too large. The rows' rules are borrowed. */
VhFwTables *vh_fw_tables_new(const VhFwRows *rows, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_fw_tables_free(VhFwTables *tables);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhFwTables, vh_fw_tables_free)

/* What they take in the kernel, about. */
gsize vh_fw_tables_bytes(const VhFwTables *tables);

/* What BPF does, step by step: for tests. */
enum vh_fw_action vh_fw_tables_ask(const VhFwTables *tables, bool v6,
                                   const vh_u128 value[VH_FW_FIELDS]);
