/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plan.c and plan-show.c share. */
#pragma once

#include "ctl/ctl.h"
#include "forecast/recording.h"

struct plan {
    struct vh_ctl *ctl;
    struct vh_topology *topology;
    VhForecast *forecast;
    const char *from;             /* where guests come from, for people */
    GPtrArray *notes;             /* char *: what to know about the plan */
    GHashTable *unknown;          /* programs that nobody has -> number of their hints */
    JsonBuilder *steps;           /* --steps --json; NULL: not asked for */
    const struct vh_event *at;    /* the event under way; NULL: only time passes */
    const struct vh_event *facts; /* whose hints are under way, as far as any are pending */
    guint64 pending;              /* of them are still to come before it makes sense to plan */
    gint64 now;
};

/* `lines` are the forecast's. */
void vh_plan_show_json(const struct plan *plan, const GPtrArray *lines);
void vh_plan_show_people(const struct plan *plan, const GPtrArray *lines);
/* What the event under way changes; nothing if it changes nothing. */
void vh_plan_show_step(const struct plan *plan, const GPtrArray *lines);
