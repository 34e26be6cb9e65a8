// SPDX-License-Identifier: GPL-2.0-or-later
// Collects what a plan is made of.
#include "placement/state.h"

int vh_place_add_set(struct vh_place_state *state, const struct vh_cpuset *set)
{
    g_array_append_vals(state->sets, set, 1);
    return (int)state->sets->len - 1;
}

void vh_place_problem(struct vh_place_state *state, enum vh_reason reason, unsigned guest,
                      int thread)
{
    struct vh_problem problem = {
        .reason = reason, .guest = guest, .thread = thread, .other = -1, .set = -1};

    g_array_append_val(state->problems, problem);
}
