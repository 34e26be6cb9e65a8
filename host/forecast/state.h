/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forecast's inside, for the files of this folder only. */
#pragma once

#include "forecast/forecast.h"
#include "wish/rules.h"
#include "wish/survey.h"

/* A guest. */
struct vh_forecast_member {
    struct vh_forecast_guest *told;  /* as it is now, and where the last plan has all */
    struct vh_forecast_guest *first; /* as it was when it came */
    VhGuestPolicy *policy;
    VhRules *rules;
    VhFacts *facts;
    struct vh_cpu_map map;
    struct vh_wish *wishes;
    bool moved;             /* wishes are to be renewed, whatever max-hints says */
    unsigned batch;         /* hints since the last plan */
    gint64 deferred;        /* not to renew wishes before; 0: at once */
    GHashTable *complained; /* of rules' misfits, texts */
};

struct VhForecast {
    VhPolicy *policy;
    const struct vh_topology *topology;
    GPtrArray *members; /* struct vh_forecast_member, oldest first */
    GPtrArray *lines;   /* struct vh_forecast_line */
    GPtrArray *problems;
    VhSurvey *survey;
    gint64 next;
    bool steps;
};

/* ---- forecast.c ---- */

/* NULL: there was none such. */
const struct vh_forecast_vcpu *vh_forecast_vcpu_of(const GArray *vcpus, unsigned index);
/* The thread of `other` that `own`'s at this position is: workers of one guest have one name, and
 * are told apart by their order. NULL: it has none such. */
const struct vh_forecast_thread *vh_forecast_thread_of(const struct vh_forecast_guest *other,
                                                       const struct vh_forecast_guest *own,
                                                       guint position);
void vh_forecast_note_misfit(struct vh_forecast_member *member);
