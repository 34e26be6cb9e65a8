// SPDX-License-Identifier: GPL-2.0-or-later
// Frees what the hint thread and the net thread hand each other.
#include "net/wish.h"

void vh_net_wish_free(VhNetWish *wish)
{
    if (!wish)
        return;
    for (guint stage = 0; stage < VH_STAGES; stage++)
        g_clear_pointer(&wish->wants[stage], g_bytes_unref);
    g_free(wish->guest);
    g_free(wish->uplink);
    g_free(wish);
}

void vh_net_state_free(VhNetState *state)
{
    if (!state)
        return;
    for (guint stage = 0; stage < VH_STAGES; stage++) {
        g_free(state->offload[stage].problem);
        g_free(state->offload[stage].left_out);
    }
    for (guint i = 0; i < state->hooks; i++)
        g_free(state->hook[i].problem);
    g_free(state->guest);
    g_free(state);
}
