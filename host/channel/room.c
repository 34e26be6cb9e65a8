// SPDX-License-Identifier: GPL-2.0-or-later
// The buffers that sessions share.
#include "channel/state.h"

VhScratch *vh_scratch_new(void)
{
    return g_new0(VhScratch, 1);
}

void vh_scratch_free(VhScratch *scratch)
{
    if (!scratch)
        return;
    g_free(scratch->input);
    g_free(scratch);
}

void vh_session_take_room(VhSession *session)
{
    VhScratch *scratch = session->scratch;

    g_assert(!scratch->user);
    scratch->user = session;
    if (!session->partial && !scratch->input)
        scratch->input = g_malloc(VH_DECODER_BUFFER);
    session->decoder.buffer = session->partial ? session->partial : scratch->input;
}

void vh_session_leave_room(VhSession *session)
{
    VhScratch *scratch = session->scratch;
    bool half = session->decoder.used > 0;

    g_assert(!scratch->user || scratch->user == session);
    scratch->user = NULL;
    if (half && !session->partial) {
        session->partial = g_steal_pointer(&scratch->input);
    } else if (!half && session->partial) {
        g_free(scratch->input);
        scratch->input = g_steal_pointer(&session->partial);
    }
}
