// SPDX-License-Identifier: GPL-2.0-or-later
// The actions that there are. Their ends come in this order: groups are made before what floats
// leaves them.
#include "action/action.h"

const struct vh_action *const vh_actions[] = {
    &vh_action_pin,   &vh_action_group,  &vh_action_near, &vh_action_float,
    &vh_action_boost, &vh_action_memory, &vh_action_log,  NULL,
};
