/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of offload that there are. A new one is a row here, and a name in words.c. */
#pragma once

#include "net/slot.h"

/* By stage; NULL: there is none for it. */
extern const struct vh_slot_kind *const vh_net_kinds[VH_STAGES];
