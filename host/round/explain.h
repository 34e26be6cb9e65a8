/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells of each action upon a guest the whole story: the hints, the rule and the limits behind it,
 * what it replaced, since when, and what its trial found. */
#pragma once

#include "act/actuate.h"
#include "round/entry.h"
#include "round/memory.h"
#include "trials/trials.h"
#include "wish/survey.h"

#define VH_EXPLAIN_HINTS_MAX 8u /* shown of each action; how many there are is told */

/* All is borrowed. */
struct vh_explain {
    const struct vh_entry *entry;
    unsigned number;            /* the guest's, in plan and survey */
    const struct vh_plan *plan; /* made just now, by `survey` */
    const VhSurvey *survey;
    const VhActuate *pins, *boosts;
    const VhTrials *trials;
    const VhRam *ram;
};

/* Explain's aa{sv}, floating: of each vCPU its pin, then its boost; other threads; memory last. */
GVariant *vh_explain(const struct vh_explain *explain);
