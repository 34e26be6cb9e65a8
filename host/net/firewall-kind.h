/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The firewall as a kind of offload. */
#pragma once

#include "net/slot.h"

extern const struct vh_slot_kind vh_net_firewall;
