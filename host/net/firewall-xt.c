// SPDX-License-Identifier: GPL-2.0-or-later
// What the matches of iptables, as nf_tables runs them, say of a packet's fields.
#include <string.h>

#include "net/firewall-parts.h"

/* A comment matches always. Of all others nothing is known. */
void vh_fw_match(VhFwRule *rule, const struct vh_nft_expr *expr)
{
    if (strcmp(expr->text, "comment") != 0)
        vh_fw_rule_may(rule);
}
