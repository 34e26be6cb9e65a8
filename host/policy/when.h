/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rule's condition: FIELD OP VALUE && FIELD OP VALUE ..., parsed once, bound once to each kind of
 * hint, then evaluated on records without allocation.
 *
 * OP is == != < <= > >= on numbers; & (some of the value's bits are set) and !& (none is) on
 * integers and enums;
 * == and != on text, and ~ with a pattern of * and ?. VALUE is a number (decimal or 0x...), true or
 * false, the name of an enum's constant, or "text" in which \ takes the next character as it is. */
#pragma once

#include "hint/field.h"

#define VH_WHEN_TERMS_MAX 16u

enum vh_op {
    VH_OP_EQ,
    VH_OP_NE,
    VH_OP_LE,
    VH_OP_GE,
    VH_OP_NONE_OF,
    VH_OP_LT,
    VH_OP_GT,
    VH_OP_SOME_OF,
    VH_OP_LIKE,
    VH_OP_COUNT
};

typedef struct VhWhen VhWhen;

/* NULL and VH_ERROR_INVALID_ARGUMENT. */
VhWhen *vh_when_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_when_free(VhWhen *when);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhWhen, vh_when_free)

/* One comparison, bound to a kind. */
struct vh_test {
    struct vh_fieldref field;
    enum vh_op op;
    uint64_t value;   /* numbers; extended as the field's */
    const char *text; /* TEXT: borrowed from the VhWhen */
    uint32_t len;
};

struct vh_tests {
    unsigned count;
    struct vh_test tests[VH_WHEN_TERMS_MAX];
};

/* Binds to a kind; `tests` borrows from `when`. 0; or -1 and VH_ERROR_INVALID_ARGUMENT for a field
 * that the kind does not have, or an operator or a value that does not suit it. */
int vh_when_bind(const VhWhen *when, const struct vh_kind *kind, struct vh_tests *tests,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Do all hold for the whole record? */
bool vh_tests_hold(const struct vh_tests *tests, const uint8_t *record);
