/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest has told about its firewall (protocol/guest-rules.h), put together and read with
 * bounds.
 */
#pragma once

#include "hint/facts.h"
#include "net/firewall.h"

/* The whole, of the facts of the program `firewall`. NULL: it cannot be offloaded now, and `*why`
 * (static) tells. */
GBytes *vh_fw_told_gather(const VhFacts *facts, const char **why);

typedef struct {
    struct vh_fw_guest guest;
    guint8 mac[6]; /* of the interface that packets come in at */
    bool conntrack;
    GBytes *dump; /* of nf_tables */
} VhFwTold;

/* Reads what gather made. NULL and VH_ERROR_REFUSED. */
VhFwTold *vh_fw_told_read(GBytes *wants, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_fw_told_free(VhFwTold *told);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhFwTold, vh_fw_told_free)
