/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A field of a hint's struct by its path, such as "pid", "where.node" or "load[3]": found once by
 * BTF, then read from any number of records without looking at BTF again.
 *
 * Only kinds that vh_object_read has made are looked into, and only whole records of their size are
 * read, so a field that was found is within every record. */
#pragma once

#include <stdbool.h>

#include "hint/object.h"

#define VH_PATH_MAX 256u /* characters of a path */

enum vh_field_type {
    VH_FIELD_INT,
    VH_FIELD_BOOL,
    VH_FIELD_ENUM,
    VH_FIELD_TEXT, /* an array of char */
    VH_FIELD_INTS, /* an array of integers of one size; as a mask, bit N of the array is N */
    VH_FIELD_TYPE_COUNT
};

struct vh_fieldref {
    enum vh_field_type type;
    bool is_signed;   /* INT, ENUM, INTS */
    uint32_t bit;     /* from the record's start */
    uint32_t bits;    /* of one element, 1 to 64 */
    uint32_t count;   /* TEXT, INTS: elements; else 1 */
    uint32_t type_id; /* ENUM: in the kind's BTF */
};

/* Looks `path` up. 0; or -1 and VH_ERROR_INVALID_ARGUMENT, naming the nearest field there is. */
int vh_fieldref_find(const struct vh_kind *kind, const char *path, struct vh_fieldref *ref,
                     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same, of an integer only. */
int vh_fieldref_find_number(const struct vh_kind *kind, const char *path, struct vh_fieldref *ref,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The value of the enum field's constant `name`, extended as vh_fieldref_number does. 0, or -1 and
 * VH_ERROR_INVALID_ARGUMENT: there is none such, or the field's bits cannot hold it. */
int vh_fieldref_constant(const struct vh_kind *kind, const struct vh_fieldref *ref,
                         const char *name, uint64_t *value,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* INT, BOOL, ENUM: the number, sign-extended to 64 bits when the field is signed. */
uint64_t vh_fieldref_number(const struct vh_fieldref *ref, const uint8_t *record);

/* TEXT: its first byte; `*len` is up to the first NUL, at most the array. */
const char *vh_fieldref_text(const struct vh_fieldref *ref, const uint8_t *record, uint32_t *len);

/* INTS, and INT as an array of one: the array's bits into `words`, of which there are `count`; the
 * rest is zeroed.
 */
void vh_fieldref_mask(const struct vh_fieldref *ref, const uint8_t *record, uint64_t *words,
                      uint32_t count);

/* Appends the value for people: numbers, names of enum constants, text. */
void vh_fieldref_print(const struct vh_kind *kind, const struct vh_fieldref *ref,
                       const uint8_t *record, GString *out);
