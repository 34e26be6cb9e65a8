/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gathers what all guests wish and have into one input, and keeps the plan made of it. Pure. */
#pragma once

#include "action/wish.h"
#include "placement/near.h"

typedef struct VhSurvey VhSurvey;

struct vh_survey_guest {
    const char *name;
    const struct vh_placement_options *options;
    const struct vh_cpuset *memory_nodes; /* NULL: not known */
    const struct vh_wish *wishes;         /* one for each vCPU; copied */
    const struct vh_cpuset *const *now; /* what each vCPU is held to by us, NULL: nothing; copied */
    unsigned vcpus, iothreads, vhosts;
    const struct vh_near *nears; /* `by` is the rule (struct vh_rule); copied */
    unsigned near_count;
    const struct vh_mask *off; /* left alone whatever is wished; NULL: none */
};

VhSurvey *vh_survey_new(void);
void vh_survey_free(VhSurvey *survey);

/* Forgets all guests and the plan. `reserved` (CPUs for the host alone; NULL: none) and `topology`
 * are borrowed, and so is all of a guest that is not said to be copied, until the next begin. */
void vh_survey_begin(VhSurvey *survey, const struct vh_topology *topology,
                     const struct vh_cpuset *reserved);
/* The first guest is 0, oldest first. */
void vh_survey_add(VhSurvey *survey, const struct vh_survey_guest *guest);
/* A vCPU that a former daemon has left held to `now`, of that guest; -1: of one that is not among
 * them. It is planned around if that is one CPU, and otherwise of no account. */
void vh_survey_left(VhSurvey *survey, int guest, const struct vh_cpuset *now);
/* Does a vCPU wish to be anchored that is not yet? Only then it matters how busy which host CPU is.
 */
bool vh_survey_seeks(const VhSurvey *survey);
/* That, as vh_placement_input's; borrowed until the next begin. */
void vh_survey_set_load(VhSurvey *survey, const uint16_t *load);
/* Once all are added. The plan is the survey's. */
const struct vh_plan *vh_survey_plan(VhSurvey *survey);

/* Borrowed until the next begin. */
const struct vh_wish *vh_survey_wish(const VhSurvey *survey, unsigned guest, unsigned vcpu);

/* All of a guest's, by vCPU. */
const struct vh_wish *vh_survey_wishes(const VhSurvey *survey, unsigned guest, unsigned *count);

/* What is wished for a thread (a vCPU, or another by vh_placement_emulator() and so on) and what
 * the plan says to that, for people. g_free() it. */
char *vh_survey_reason(const VhSurvey *survey, unsigned guest, unsigned thread);
/* The same by the thread's place in the plan. */
char *vh_survey_reason_of(const VhSurvey *survey, const struct vh_placed *placed);
/* The plan's part of that, to be kept. vh_place_clear() it. */
void vh_survey_place(const VhSurvey *survey, unsigned guest, unsigned thread,
                     struct vh_place *place);
/* Of both the words. `wished`: vh_wish_text's; NULL: the thread is no vCPU. g_free() it. */
char *vh_survey_words(const char *wished, const struct vh_place *place);
/* What the plan could not do, for people: `index` below the plan's problem_count. g_free() it. */
char *vh_survey_problem(const VhSurvey *survey, unsigned index);
