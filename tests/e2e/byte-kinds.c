// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of offload of a vhintd for tests: one that packets tell what to do, for each guest that
// has said anything.
#include "lib/byte-kind.h"
#include "net/kinds.h"
#include "net/words.h"

static struct vh_slot_kind kind;

static GBytes *gather(const VhFacts *facts, const char **why)
{
    *why = vh_facts_count(facts) ? NULL : "the guest has said nothing";
    return *why ? NULL : g_bytes_new_static("a", 1);
}

__attribute__((constructor)) static void make_kind(void)
{
    kind = byte_kind;
    kind.gather = gather;
}

const struct vh_slot_kind *const vh_net_kinds[VH_STAGES] = {[VH_STAGE_FIREWALL] = &kind};
const char *const vh_net_names[VH_STAGES] = {[VH_STAGE_FIREWALL] = "byte"};
