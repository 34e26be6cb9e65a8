/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy's rule: on a kind of hint, when a condition holds, do an action.
 *
 * A rule is compiled once for each kind that it meets (struct vh_bound_rule); the kind may be of
 * any program, known or not when the rule was written. */
#pragma once

#include "action/action.h"
#include "policy/when.h"

#define VH_RULES_MAX 256u

/* A rule and a kind. Borrows from the rule. */
struct vh_bound_rule {
    const struct vh_rule *rule;
    struct vh_tests tests;
    struct vh_bound_do what;
    struct vh_fieldref figure; /* if the rule has one */
    unsigned like; /* the caller's: which of its rules reads the same guest CPUs in the same way */
};

/* 0; or -1 and VH_ERROR_INVALID_ARGUMENT, of which `*key` is told: "when", "do" or "figure". */
int vh_rule_bind(const struct vh_rule *rule, const struct vh_kind *kind,
                 struct vh_bound_rule *bound, const char **key,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Is the rule about this kind? A kind is its program's: another's of the same name is another kind.
 */
bool vh_rule_meets(const struct vh_rule *rule, const struct vh_kind *kind);

void vh_rule_free(struct vh_rule *rule);
