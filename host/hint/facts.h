/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts that hold in one guest now: the last hint of every (program, kind, key). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "hint/object.h"

#define VH_FACTS_MAX 65536u            /* facts of one guest */
#define VH_FACTS_BYTES_MAX (32u << 20) /* bytes of their records */

typedef struct VhFacts VhFacts;

/* What somebody has found out about a record and keeps with it, as long as it stays what it is. */
struct vh_mark {
    uint64_t by; /* what it was found by; 0: nothing is kept */
    uint64_t bits[4];
};

struct vh_fact {
    uint32_t program;           /* the injector's id */
    const struct vh_kind *kind; /* with a reference to its object */
    guint hash;
    bool confirmed;      /* by the snapshot under way */
    struct vh_mark mark; /* whoever visits facts may set it */
    uint16_t key_size;
    uint16_t size;
    uint8_t record[] __attribute__((aligned(8))); /* the whole hint, header included */
};

VhFacts *vh_facts_new(void);
void vh_facts_free(VhFacts *facts);

/* Takes a hint that fits its kind, whose object the fact holds a reference to: what a program was
 * may go before its facts do. 1: a fact appeared, changed or went; 0: nothing changed (an event, a
 * repetition); -ENOSPC: the limits are reached, and it was not taken. `*taken` (NULL is fine) is
 * the fact that has the record now, until the next call; NULL: none has. */
int vh_facts_take(VhFacts *facts, uint32_t program, const struct vh_kind *kind,
                  const struct vh_hint *hint, const uint8_t *record, struct vh_fact **taken);

/* A snapshot's FIRST: all of the program's facts become unconfirmed. */
void vh_facts_begin(VhFacts *facts, uint32_t program);
/* Its LAST: drops what is unconfirmed. Returns how many were. */
guint vh_facts_end(VhFacts *facts, uint32_t program);

/* Each returns how many facts went. */
guint vh_facts_drop(VhFacts *facts, uint32_t program);
guint vh_facts_clear(VhFacts *facts);

guint vh_facts_count(const VhFacts *facts);
guint vh_facts_count_of(const VhFacts *facts, uint32_t program);

/* Visits every fact, in no order; the facts must not change meanwhile. */
typedef struct {
    GHashTableIter iter;
} VhFactsIter;
void vh_facts_iter_init(VhFactsIter *iter, const VhFacts *facts);
struct vh_fact *vh_facts_iter_next(VhFactsIter *iter);
