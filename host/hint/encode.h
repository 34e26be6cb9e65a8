/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way back from json.c: makes a record of a kind from its fields in JSON. */
#pragma once

#include <json-glib/json-glib.h>

#include "hint/object.h"

/* What a record says beside its fields. */
struct vh_encoded {
    bool gone;
    unsigned key_size; /* bytes after the header that are the key; 0: an event */
    unsigned cpu;
};

/* The record of `kind`, in kind->size bytes to be g_free()d; fields that are not
 * named are zero, texts that are too long are cut. NULL and
 * VH_ERROR_INVALID_ARGUMENT that names the field: it is not one of the kind's, or its value does
 * not fit. */
uint8_t *vh_hint_encode(const struct vh_kind *kind, const struct vh_encoded *head,
                        JsonObject *fields, GError **error) G_GNUC_WARN_UNUSED_RESULT;
