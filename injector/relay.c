// SPDX-License-Identifier: GPL-2.0-or-later
// Moves hints from a program's ring buffer into HINTS frames, one slice of them at a time.
#include <string.h>

#include "program.h"

/* A batch in the making. */
struct batch {
    uint8_t *records;
    size_t len;
    size_t room;
    uint32_t count;
};

/* Is the record a hint by wire.h's rules? */
static bool is_hint(const void *record, uint32_t len)
{
    struct vh_hint hint;

    if (len < sizeof(hint) || len > VH_HINT_MAX)
        return false;
    memcpy(&hint, record, sizeof(hint));
    return hint.size == len && hint.reserved == 0 && hint.key_size <= len - sizeof(hint) &&
           (hint.flags & ~VH_HINT_GONE) == 0;
}

/* Fills the batch from the ring, until one or the other has no more. */
static void fill(struct vh_running *running, struct batch *batch)
{
    const void *record;
    uint32_t len;

    while ((record = vh_ring_peek(&running->ring, &len))) {
        size_t padded = (len + 7u) & ~7ul;

        if (!is_hint(record, len)) {
            running->dropped++;
            vh_ring_next(&running->ring);
            continue;
        }
        if (padded > batch->room - batch->len)
            return;
        memcpy(batch->records + batch->len, record, len);
        memset(batch->records + batch->len + len, 0, padded - len);
        batch->len += padded;
        batch->count++;
        vh_ring_next(&running->ring);
    }
}

bool vh_relay(struct vh_running *running, struct vh_session *session)
{
    _Alignas(8) uint8_t records[VH_SLICE];
    struct vh_batch head = {.program = running->id, .seq = running->seq};
    struct batch batch = {.records = records};

    if (!running->ring.size || running->held)
        return false;
    batch.room = vh_session_room(session, running->id);
    if (batch.room == 0)
        return false;
    fill(running, &batch);
    /* Read after the records: what was lost to a full ring is told with what it was full of. */
    head.lost = vh_running_lost(running);
    head.count = batch.count;
    if (batch.count == 0 && head.lost == running->lost_told)
        return false;
    running->lost_told = head.lost;
    running->seq += batch.count;
    vh_session_hints(session, &head, records, batch.len);
    return true;
}

void vh_relay_discard(struct vh_running *running)
{
    uint32_t len;

    while (running->ring.size && vh_ring_peek(&running->ring, &len)) {
        running->dropped++;
        vh_ring_next(&running->ring);
    }
}
