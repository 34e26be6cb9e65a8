// SPDX-License-Identifier: GPL-2.0-or-later
// Lists the kinds of offload.
#include "net/kinds.h"

const struct vh_slot_kind *const vh_net_kinds[VH_STAGES] = {NULL};
