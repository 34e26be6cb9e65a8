/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "net/slot.h"

/* A kind of offload for tests (net/objects/byte.bpf.c): drops and answers what says so itself.
 * What it wants is a text; "refuse" is refused. */
extern const struct vh_slot_kind byte_kind;
/* What it gathers of any facts; NULL: nothing. */
extern char *byte_kind_gathered;
/* VH_STAGES of them: it alone, as the firewall. */
extern const struct vh_slot_kind *const byte_kinds[VH_STAGES];
