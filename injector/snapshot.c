/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a program's facts out of its map `state`, after a walk.
 *
 * The ring is emptied first. What it held is then older than the snapshot and goes before it, or is
 * dropped; what comes later is newer, or says the same again. The count of losses is taken before
 * the ring is emptied: a hint lost from then on shows as growth in the next batch, and the host
 * asks once more. What is dropped here has its effect in `state` already, so it is no reason to ask
 * again. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "program.h"
#include "say.h"

#define PART 1024u /* entries read at once; a bucket of the kernel's hash never comes near */

static int read_state(void *context, struct vh_table *table)
{
    const struct vh_running *running = context;
    /* More than there can be: entries that are replaced while we read may be met twice. */
    size_t room = running->state_entries + PART;
    vh_autotable struct vh_table fresh = {
        .keys = malloc(room * running->key_size),
        .values = malloc(room * running->value_size),
    };
    uint64_t position = 0; /* the kernel's, opaque; its size is a bucket number's */
    int error = 0;

    if (!fresh.keys || !fresh.values)
        return -ENOMEM;
    for (bool first = true; error == 0; first = false) {
        uint32_t count = PART < room - fresh.count ? PART : (uint32_t)(room - fresh.count);

        if (count == 0)
            return -EOVERFLOW;
        error =
            bpf_map_lookup_batch(running->state_fd, first ? NULL : &position, &position,
                                 fresh.keys + fresh.count * running->key_size,
                                 fresh.values + fresh.count * running->value_size, &count, NULL);
        if (error && error != -ENOENT)
            return error;
        fresh.count += count;
    }
    *table = fresh;
    fresh = (struct vh_table){0};
    return 0;
}

static int walk(void *context, struct vh_written *written)
{
    const struct vh_running *running = context;

    return vh_loaded_iterate(&running->loaded, written);
}

static int look(void *context, const uint8_t *key, uint8_t *value)
{
    const struct vh_running *running = context;

    return bpf_map_lookup_elem(running->state_fd, key, value) ? -errno : 0;
}

static int take_out(void *context, const uint8_t *key)
{
    const struct vh_running *running = context;

    return bpf_map_delete_elem(running->state_fd, key) ? -errno : 0;
}

/* Makes `state` true, as far as the program's walk can. 0 or -errno. */
static int make_true(struct vh_running *running)
{
    static const struct vh_sweep_ops ops = {read_state, walk, look, take_out};
    long taken;

    if (!running->confirms)
        return vh_loaded_iterate(&running->loaded, NULL);
    taken = vh_sweep(&ops, running, running->key_size, running->value_size);
    if (taken > 0)
        vh_say("%s: %ld facts had ended unnoticed", running->name, taken);
    return taken < 0 ? (int)taken : 0;
}

/* Puts those values that are hints into the snapshot, padded. */
static int append(struct vh_running *running, struct vh_facts *facts, const struct vh_table *table)
{
    facts->records = malloc(table->count * ((running->value_size + 7u) & ~7ul) + 1);
    if (!facts->records)
        return -ENOMEM;
    for (size_t i = 0; i < table->count; i++) {
        const uint8_t *value = table->values + i * running->value_size;
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
    return 0;
}

int vh_snapshot(struct vh_running *running, struct vh_session *session, struct vh_facts *facts)
{
    vh_autotable struct vh_table table = {0};
    int error = make_true(running);
    struct vh_facts fresh = {0};
    uint64_t dropped;

    if (error)
        return error;
    vh_running_account(running);
    fresh.lost = vh_running_lost(running);
    vh_relay(running, session);
    dropped = running->dropped;
    vh_relay_discard(running);
    fresh.lost += running->dropped - dropped;
    if (running->state_fd >= 0)
        error = read_state(running, &table);
    if (error == 0)
        error = append(running, &fresh, &table);
    if (error)
        return error;
    fresh.seq = running->seq;
    running->lost_told = fresh.lost;
    *facts = fresh;
    return 0;
}
