/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One instance of host-bpf/firewall.bpf.c in the kernel: a guest's tables, at its hooks. On the net
 * thread.
 *
 * An instance never changes but for its mode, and what it has counted. A new one goes on with the
 * flows of the one before it. */
#pragma once

#include "net/firewall-tables.h"
#include "net/object.h"

typedef struct VhFwInstance VhFwInstance;

/* Loads it; in VH_FW_OFF. `former` (NULL: there is none) lends its flows. NULL and VH_ERROR_FAILED.
 */
VhFwInstance *vh_fw_instance_new(const VhNetMaps *maps, const VhFwTables *tables,
                                 const struct vh_fw_guest *guest, const guint8 mac[6],
                                 const VhFwInstance *former,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_fw_instance_free(VhFwInstance *instance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhFwInstance, vh_fw_instance_free)

/* Its program for a hook, borrowed. */
int vh_fw_instance_program(const VhFwInstance *instance, enum vh_hook hook);

/* VH_FW_OFF, _SHADOW or _ON, from the next packet on. 0, or -1 and VH_ERROR_FAILED. */
int vh_fw_instance_set_mode(VhFwInstance *instance, guint32 mode,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The kernel's map of this name, borrowed. */
int vh_fw_instance_map(const VhFwInstance *instance, const char *name);

/* Packets that each counter of the tables has counted. A guint64 for each; the caller frees it. */
GArray *vh_fw_instance_drops(const VhFwInstance *instance);
