/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a program's facts out of its map `state`.
 *
 * The ring is emptied first. What it held is then older than the snapshot and goes before it, or is dropped; what
 * comes later is newer, or says the same again. The count of losses is taken before the ring is emptied: a hint
 * lost from then on shows as growth in the next batch, and the host asks once more. What is dropped here has its
 * effect in `state` already, so it is no reason to ask again. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "program.h"

#define PART 1024u /* entries read at once; a bucket of the kernel's hash never comes near */

/* Appends those values that are hints, padded. */
static void append(struct vh_running *running, struct vh_facts *facts, const uint8_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *value = values + (size_t)i * running->value_size;
        struct vh_hint hint;

        memcpy(&hint, value, sizeof(hint));
        if (hint.size < sizeof(hint) || hint.size > running->value_size || hint.reserved != 0 ||
            hint.key_size > hint.size - sizeof(hint) || (hint.flags & ~VH_HINT_GONE) != 0) {
            running->dropped++;
            continue;
        }
        memcpy(facts->records + facts->len, value, hint.size);
        memset(facts->records + facts->len + hint.size, 0, -hint.size & 7u);
        facts->len += (hint.size + 7u) & ~7ul;
    }
}

static int read_state(struct vh_running *running, struct vh_facts *facts)
{
    size_t padded = (running->value_size + 7u) & ~7ul;
    uint32_t part = PART < running->state_entries ? PART : running->state_entries;
    vh_autofree uint8_t *keys = malloc((size_t)part * running->key_size);
    vh_autofree uint8_t *values = malloc((size_t)part * running->value_size);
    size_t left = running->state_entries; /* there cannot be more */
    uint64_t position = 0;                /* the kernel's, opaque; its size is a bucket number's */
    bool first = true;
    int error = 0;

    facts->records = malloc(running->state_entries * padded);
    if (!keys || !values || !facts->records)
        return -ENOMEM;
    while (error == 0) {
        uint32_t count = part;

        error = bpf_map_lookup_batch(running->state_fd, first ? NULL : &position, &position, keys, values, &count,
                                     NULL);
        if (error && error != -ENOENT)
            return error;
        if (count > left)
            return -EOVERFLOW;
        append(running, facts, values, count);
        left -= count;
        first = false;
    }
    return 0;
}

int vh_snapshot(struct vh_running *running, struct vh_session *session, struct vh_facts *facts)
{
    int error = vh_loaded_iterate(&running->loaded);
    struct vh_facts fresh = {0};
    uint64_t dropped;

    if (error)
        return error;
    running->misses = vh_loaded_misses(&running->loaded);
    fresh.lost = vh_running_lost(running);
    vh_relay(running, session);
    dropped = running->dropped;
    vh_relay_discard(running);
    fresh.lost += running->dropped - dropped;
    if (running->state_fd >= 0)
        error = read_state(running, &fresh);
    if (error) {
        free(fresh.records);
        return error;
    }
    fresh.seq = running->seq;
    running->lost_told = fresh.lost;
    *facts = fresh;
    return 0;
}
