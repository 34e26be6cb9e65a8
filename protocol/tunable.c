// SPDX-License-Identifier: GPL-2.0-or-later
// Reads values of tunables: see tunable.h.
#include "tunable.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32 /* of qualifiers and typedefs: BTF may name them in a circle */

const struct btf_type *vh_tunable_type(const struct btf *btf, uint32_t id)
{
    const struct btf_type *t = btf__type_by_id(btf, id);

    for (int depth = 0; t && (btf_is_mod(t) || btf_is_typedef(t)); depth++)
        t = depth < DEPTH_MAX ? btf__type_by_id(btf, t->type) : NULL;
    return t;
}

/* Stores a whole number of `size` bytes; false when it does not fit. */
static bool store(const struct vh_tunable *v, bool is_signed, unsigned long long bits,
                  bool negative, uint8_t *into)
{
    unsigned int width = (unsigned int)v->size * 8;

    if (width == 0 || width > 64)
        return false;
    if (negative && (!is_signed || bits > 1ull << (width - 1)))
        return false;
    if (!negative && bits > (~0ull >> (64 - width)) >> (is_signed ? 1 : 0))
        return false;
    bits = negative ? 0 - bits : bits;
    memcpy(into, &bits, v->size);
    return true;
}

/* 0, -EINVAL for no number, -ERANGE for one that does not fit. */
static int read_number(const struct vh_tunable *v, bool is_signed, const char *value, uint8_t *into)
{
    bool negative = value[0] == '-';
    const char *digits = value + negative;
    unsigned long long bits;
    char *end;

    if (digits[0] < '0' || digits[0] > '9')
        return -EINVAL;
    errno = 0;
    bits = strtoull(digits, &end, 0);
    if (*end)
        return -EINVAL;
    return errno || !store(v, is_signed, bits, negative && bits, into) ? -ERANGE : 0;
}

static int read_bool(const struct vh_tunable *v, const char *value, uint8_t *into)
{
    bool on = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

    if (!on && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
        return -EINVAL;
    return store(v, false, on, false, into) ? 0 : -ERANGE;
}

static int read_enum(const struct vh_tunable *v, const char *value, uint8_t *into)
{
    const struct btf_enum *values = btf_enum(v->type);

    for (__u32 i = 0; i < btf_vlen(v->type); i++) {
        const char *name = btf__name_by_offset(v->btf, values[i].name_off);

        if (name && strcmp(name, value) == 0) {
            memcpy(into, &values[i].val, v->size < sizeof(__s32) ? v->size : sizeof(__s32));
            return 0;
        }
    }
    return read_number(v, true, value, into);
}

static int read_text(const struct vh_tunable *v, const char *value, uint8_t *into)
{
    const struct btf_type *element = vh_tunable_type(v->btf, btf_array(v->type)->type);

    if (!element || !btf_is_int(element) || element->size != 1)
        return -EINVAL;
    if (strlen(value) >= v->size)
        return -ERANGE;
    memset(into, 0, v->size);
    memcpy(into, value, strlen(value) + 1);
    return 0;
}

int vh_tunable_read(const struct vh_tunable *v, const char *value, uint8_t *into)
{
    if (btf_is_int(v->type) && btf_int_encoding(v->type) & BTF_INT_BOOL)
        return read_bool(v, value, into);
    if (btf_is_int(v->type))
        return read_number(v, btf_int_encoding(v->type) & BTF_INT_SIGNED, value, into);
    if (btf_is_enum(v->type))
        return read_enum(v, value, into);
    if (btf_is_array(v->type))
        return read_text(v, value, into);
    return -EINVAL;
}

void vh_tunable_describe(const struct vh_tunable *v, char *text, size_t size)
{
    bool number = btf_is_int(v->type) && v->size > 0 && v->size <= sizeof(uint64_t);

    if (number && btf_int_encoding(v->type) & BTF_INT_BOOL)
        snprintf(text, size, "it must be true or false");
    else if (number && btf_int_encoding(v->type) & BTF_INT_SIGNED)
        snprintf(text, size, "it must be a whole number that fits %zu bits with sign", v->size * 8);
    else if (number)
        snprintf(text, size, "it must be a whole number from 0 to %llu",
                 ~0ull >> (64 - v->size * 8));
    else if (btf_is_enum(v->type))
        snprintf(text, size, "it must be a value of enum %s",
                 btf__name_by_offset(v->btf, v->type->name_off));
    else if (btf_is_array(v->type) && v->size > 0)
        snprintf(text, size, "it must be a text of at most %zu bytes", v->size - 1);
    else
        snprintf(text, size, "a tunable of its type cannot be set");
}
