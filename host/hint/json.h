/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes hints by the BTF of the program that emitted them.
 *
 * Only kinds that vh_object_read has made are decoded, and only records of exactly their size, so
 * nothing here can fail or read outside of the record. */
#pragma once

#include <stdbool.h>

#include "hint/object.h"

/* Does the record fit the kind? A hint with VH_HINT_GONE may end after its key. */
bool vh_hint_fits(const struct vh_kind *kind, const struct vh_hint *hint);

/* Appends {"guest":..,"program":..,"kind":..,"gone":..,"key":..,"cpu":..,"ktime":..,"seq":..,
 * "fields":{..}}; `fields` follow the struct, without its header. Of a hint with VH_HINT_GONE only
 * the fields within the key are there. `seq` negative: left out. */
void vh_hint_json(GString *out, const char *guest, const char *program, const struct vh_kind *kind,
                  const uint8_t *record, gint64 seq);
