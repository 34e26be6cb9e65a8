/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the facts of one guest ask for, vCPU by vCPU, by the rules of its policy. No I/O and no
 * clock: the caller says what time it is.
 *
 * Rules are compiled for a kind of hint when its first hint arrives. A record passes them once,
 * when it comes; only after vh_rules_set do facts pass the new rules, once more. `pin` asks for an
 * anchor: one guest CPU's vCPU gets a host CPU; `group` asks that vCPUs be close together, and
 * groups that share a vCPU are one; `float` leaves vCPUs alone whatever others ask; `boost` asks
 * that the vCPU be favoured as long as its fact holds; `memory` asks for more of it for the whole
 * guest; `near` asks that vCPUs be close together as far as that goes (placement/near.h). A field
 * that names no CPU, or one that the guest's CPU map does not have, asks for nothing.
 *
 * A wish of a rule with `hold` outlives its fact that long; an event (a hint without key) is a fact
 * that ends at once. With `cooldown`, a wish that ended does not come again for the same CPUs
 * before that. What they need to remember is bounded; beyond VH_POLICY_MEMORY_MAX such wishes are
 * not held, and with a cooldown not granted. */
#pragma once

#include "action/wish.h"
#include "base/cpu-map.h"
#include "hint/facts.h"
#include "placement/near.h"
#include "policy/policy.h"

#define VH_POLICY_MEMORY_MAX 1024u

/* The rules of one guest at work. */
typedef struct VhRules VhRules;

VhRules *vh_rules_new(void);
void vh_rules_free(VhRules *rules);

/* From now on `policy` (borrowed until the next set; NULL: no rule) rules. What rules of the same
 * name remember stays. */
void vh_rules_set(VhRules *rules, const VhGuestPolicy *policy);

/* Called for what is to be logged because of a hint. */
typedef void (*VhRuleLogFunc)(const struct vh_rule *rule, const char *text, gpointer data);

/* A record that has come, and is not GONE. */
struct vh_seen {
    const struct vh_kind *kind;
    const uint8_t *record;
    struct vh_fact *fact; /* that has it now; NULL: an event, or one too many */
    bool news;            /* it appeared or changed, or is an event: logs only then */
};

/* Takes note of it: this is when it passes the rules. Which of their conditions hold is kept with
 * its fact. `*event` is set when it is an event that made a wish. Returns the worst verdict of the
 * rules that it meets. */
enum vh_verdict vh_rules_see(VhRules *rules, const struct vh_seen *seen,
                             const struct vh_cpu_map *map, gint64 now, bool *event,
                             VhRuleLogFunc log, gpointer data);

/* The first rule that could not be used with a kind seen since the last call, as a text for people;
 * NULL: none. g_free() it. */
char *vh_rules_misfit(VhRules *rules);

/* Fills one wish for each of the guest's `count` vCPUs. Returns when (in `now`'s clock,
 * microseconds) they will be different though nothing else changes; -1: never. */
gint64 vh_rules_wishes(VhRules *rules, const VhFacts *facts, const struct vh_cpu_map *map,
                       gint64 now, struct vh_wish *wishes, unsigned count);

/* Which vCPUs (by their position) the last vh_rules_wishes found are to be near each other; `by` is
 * the rule. */
const struct vh_near *vh_rules_nears(const VhRules *rules, unsigned *count);

/* What the last vh_rules_wishes found about the guest's memory. */
const struct vh_ram_wish *vh_rules_ram(const VhRules *rules);

/* max-hints: counts `hints` that arrived at `now`. 0: act upon them now; else the microseconds
 * after which to. */
gint64 vh_rules_admit(VhRules *rules, unsigned hints, gint64 now);

/* The facts that ask for something for the vCPU at position `vcpu`, each with the rule that says
 * so. */
typedef void (*VhBehindFunc)(const struct vh_rule *rule, const struct vh_fact *fact, gpointer data);
void vh_rules_behind(VhRules *rules, const VhFacts *facts, const struct vh_cpu_map *map,
                     unsigned vcpu, VhBehindFunc func, gpointer data);
