/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules with `hold` or `cooldown` remember, for each rule and set of guest CPUs: ACTIVE while
 * a fact asks, HELD for the rule's hold after that, COOLING for its cooldown after that.
 *
 * Wishes come in rounds: vh_memory_begin, vh_memory_wish for each one asked for, vh_memory_end. */
#pragma once

#include "action/rule.h"
#include "base/mask.h"

typedef struct VhMemory VhMemory;

VhMemory *vh_memory_new(guint max);
void vh_memory_free(VhMemory *memory);

/* Facts ask again from scratch. */
void vh_memory_begin(VhMemory *memory);

/* A fact asks, by a rule that has hold or cooldown, for `mask`. Is it granted? */
bool vh_memory_wish(VhMemory *memory, const struct vh_rule *rule, const struct vh_mask *mask,
                    gint64 now);

/* Calls `held` for what no fact asks for any longer, but is held. Returns when anything will change
 * by itself; -1: never. */
typedef void (*VhHeldFunc)(const struct vh_rule *rule, const struct vh_mask *mask, gpointer data);
gint64 vh_memory_end(VhMemory *memory, gint64 now, VhHeldFunc held, gpointer data);

/* An event asks, between rounds. Is it granted, to be held from now on? */
bool vh_memory_event(VhMemory *memory, const struct vh_rule *rule, const struct vh_mask *mask,
                     gint64 now);

/* May the rule log now? If so, its cooldown begins. */
bool vh_memory_log(VhMemory *memory, const struct vh_rule *rule, gint64 now);

/* The rules have been read anew: `find` gives the new rule of an old one's name; NULL: forget it.
 */
typedef const struct vh_rule *(*VhRuleFunc)(const char *name, gpointer data);
void vh_memory_renew(VhMemory *memory, VhRuleFunc find, gpointer data);
