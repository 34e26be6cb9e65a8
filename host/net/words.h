/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of offload that there are, by name: all that policy knows of them. */
#pragma once

#include "offload.h"

/* By stage; NULL: there is none for it. */
extern const char *const vh_net_names[VH_STAGES];
