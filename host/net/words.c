// SPDX-License-Identifier: GPL-2.0-or-later
// Names the kinds of offload.
#include "net/words.h"

#include <stddef.h>

const char *const vh_net_names[VH_STAGES] = {NULL};
