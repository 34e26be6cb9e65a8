/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What most actions' words are: fields that name guest CPUs, and numbers. For actions only. */
#pragma once

#include "action/action.h"

/* ---- as parse: one field, or none ---- */
int vh_fields_parse(const char *words, struct vh_do *what, GError **error);

/* ---- as bind: the first field names guest CPUs ---- */
int vh_fields_bind(const struct vh_do *what, const struct vh_kind *kind, struct vh_bound_do *bound,
                   GError **error);

/* ---- as ask: the guest CPUs that the first field names. Without one: none ---- */

/* An integer is a CPU's number, an array of integers a mask. */
enum vh_verdict vh_fields_cpus(const struct vh_bound_do *bound, const uint8_t *record,
                               const struct vh_cpu_map *map, struct vh_mask *mask);
/* Both are masks. */
enum vh_verdict vh_fields_mask(const struct vh_bound_do *bound, const uint8_t *record,
                               const struct vh_cpu_map *map, struct vh_mask *mask);
