/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a wish to be together is called, by whichever action. For actions only. */
#pragma once

#include "action/wish.h"

/* As an action's explain. */
char *vh_group_explain(const struct vh_wish *wish);
