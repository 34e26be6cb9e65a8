/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds of hints whose structs are made at random, with BTF for them. What a record says follows
 * from how they were made: nobody needs to read BTF for that. */
#pragma once

#include <stdbool.h>

#include "hint/object.h"

enum random_shape {
    RANDOM_INT,
    RANDOM_ENUM,
    RANDOM_FLOAT,
    RANDOM_POINTER,
    RANDOM_ARRAY,
    RANDOM_STRUCT,
    RANDOM_UNION,
};

struct random_type {
    enum random_shape shape;
    int id; /* in BTF, with typedefs and the like around it */
    guint size;
    bool is_signed, is_bool, is_char;
    int named_by;                /* ENUM: its constants are called "E<named_by>_<place>" */
    GArray *constants;           /* gint64 */
    struct random_type *element; /* ARRAY */
    guint count;
    GPtrArray *members; /* STRUCT, UNION: struct random_member */
};

struct random_member {
    char *name; /* NULL: it has none */
    struct random_type *type;
    guint bit;  /* from where its struct begins */
    guint bits; /* of a bit field; else 0 */
};

struct random_kind {
    struct vh_kind kind; /* number 1, called "random" */
    struct random_type *type;
    GPtrArray *types;
    struct btf *btf;
    unsigned names;
    bool exact;
};

/* `exact`: only what can be encoded without loss: no unions, no numbers that JSON has no word for.
 */
struct random_kind *random_kind_new(bool exact);
void random_kind_free(struct random_kind *kind);
