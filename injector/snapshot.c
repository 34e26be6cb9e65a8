// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a program's facts out of its map `state`, after a walk.
//
// Between the two the ring is emptied. What it held is then older than the snapshot and goes before
// it, or is dropped; what comes later is newer, or says the same again. The count of losses is
// taken before the ring is emptied: a hint lost from then on shows as growth in the next batch, and
// the host asks once more. What is dropped here has its effect in `state` already, so it is no
// reason to ask again.
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "program.h"

#define PART 1024u /* entries read at once; a bucket of the kernel's hash never comes near */

static int read_state(const struct vh_running *running, struct vh_table *table)
{
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

/* What the sweep's functions need. */
struct walk {
    const struct vh_running *running;
    uint64_t deadline;
    char *text;
};

static int read_before(void *context, struct vh_table *table)
{
    return read_state(((struct walk *)context)->running, table);
}

static int walk(void *context, struct vh_written *written)
{
    struct walk *w = context;

    return vh_loaded_iterate(&w->running->loaded, w->deadline, written, w->text);
}

static int look(void *context, const uint8_t *key, uint8_t *value)
{
    const struct vh_running *running = ((struct walk *)context)->running;

    return bpf_map_lookup_elem(running->state_fd, key, value) ? -errno : 0;
}

static int take_out(void *context, const uint8_t *key)
{
    const struct vh_running *running = ((struct walk *)context)->running;

    return bpf_map_delete_elem(running->state_fd, key) ? -errno : 0;
}

long vh_snapshot_walk(const struct vh_running *running, uint64_t deadline, char *text)
{
    static const struct vh_sweep_ops ops = {read_before, walk, look, take_out};
    struct walk w = {running, deadline, text};
    long taken;

    text[0] = 0;
    if (running->collects) {
        int error = vh_rules_collect(running->state_fd);

        if (error) {
            snprintf(text, VH_TROUBLE_SIZE, "the rules of the firewall cannot be collected: %s",
                     strerror(-error));
            return error;
        }
    }
    if (!running->confirms)
        return vh_loaded_iterate(&running->loaded, deadline, NULL, text);
    taken = vh_sweep(&ops, &w, running->key_size, running->value_size);
    if (taken == -EBADMSG)
        snprintf(text, VH_TROUBLE_SIZE,
                 "its walk writes something else than keys of %u bytes; with VH_WALK_CONFIRMS "
                 "iterators write by vh_confirm alone",
                 running->key_size);
    else if (taken < 0 && !text[0])
        snprintf(text, VH_TROUBLE_SIZE, "its facts cannot be looked over: %s",
                 strerror((int)-taken));
    return taken;
}

void vh_snapshot_begin(struct vh_running *running, struct vh_session *session,
                       struct vh_facts *facts)
{
    uint64_t dropped;

    vh_running_account(running);
    facts->lost = vh_running_lost(running);
    while (vh_relay(running, session))
        ;
    dropped = running->dropped;
    vh_relay_discard(running);
    facts->lost += running->dropped - dropped;
    facts->seq = running->seq;
    running->lost_told = facts->lost;
}

/* Puts those values that are hints into the snapshot, padded; counts the others. */
static int append(const struct vh_running *running, const struct vh_table *table,
                  struct vh_facts *facts, uint64_t *refused)
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
            ++*refused;
            continue;
        }
        memcpy(facts->records + facts->len, value, hint.size);
        memset(facts->records + facts->len + hint.size, 0, -hint.size & 7u);
        facts->len += (hint.size + 7u) & ~7ul;
    }
    return 0;
}

int vh_snapshot_read(const struct vh_running *running, struct vh_facts *facts, uint64_t *refused)
{
    vh_autotable struct vh_table table = {0};
    int error = running->state_fd >= 0 ? read_state(running, &table) : 0;

    return error ? error : append(running, &table, facts, refused);
}
