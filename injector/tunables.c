/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets tunables: see tunables.h. */
#include "tunables.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "wire.h"

#define RODATA ".rodata"
#define RESERVED "vh_" /* names that the contract keeps for itself */

struct variable {
    const struct btf *btf;
    const struct btf_type *type; /* without const, volatile and typedef */
    uint8_t *value;
    size_t size;
};

static const struct btf_type *plain_type(const struct btf *btf, __u32 id)
{
    const struct btf_type *t = btf__type_by_id(btf, id);

    while (t && (btf_is_mod(t) || btf_is_typedef(t)))
        t = btf__type_by_id(btf, t->type);
    return t;
}

static bool find_variable(const struct bpf_object *object, const char *section, const char *name,
                          struct variable *found)
{
    const struct bpf_map *map = bpf_object__find_map_by_name(object, section);
    const struct btf *btf = bpf_object__btf(object);
    __s32 id = btf ? btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC) : -1;
    const struct btf_type *datasec = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
    uint8_t *values;
    size_t size = 0;

    /* libbpf's own memory, const only for those who should copy a whole section. */
    values = map ? (uint8_t *)bpf_map__initial_value((struct bpf_map *)map, &size) : NULL;
    for (__u32 i = 0; values && datasec && i < btf_vlen(datasec); i++) {
        const struct btf_var_secinfo *info = btf_var_secinfos(datasec) + i;
        const struct btf_type *var = btf__type_by_id(btf, info->type);

        if (strcmp(btf__name_by_offset(btf, var->name_off), name) != 0)
            continue;
        if (info->size > size || info->offset > size - info->size)
            return false;
        *found =
            (struct variable){btf, plain_type(btf, var->type), values + info->offset, info->size};
        return found->type != NULL;
    }
    return false;
}

void *vh_variable(const struct bpf_object *object, const char *section, const char *name,
                  size_t *size)
{
    struct variable v;

    if (!find_variable(object, section, name, &v))
        return NULL;
    *size = v.size;
    return v.value;
}

/* Stores a whole number of `size` bytes; false when it does not fit. */
static bool store(const struct variable *v, bool is_signed, unsigned long long bits, bool negative)
{
    unsigned int width = (unsigned int)v->size * 8;

    if (width == 0 || width > 64)
        return false;
    if (negative && (!is_signed || bits > 1ull << (width - 1)))
        return false;
    if (!negative && bits > (~0ull >> (64 - width)) >> (is_signed ? 1 : 0))
        return false;
    bits = negative ? 0 - bits : bits;
    memcpy(v->value, &bits, v->size);
    return true;
}

/* 0, -EINVAL for no number, -ERANGE for one that does not fit. */
static int set_number(const struct variable *v, bool is_signed, const char *value)
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
    return errno || !store(v, is_signed, bits, negative && bits) ? -ERANGE : 0;
}

static int set_bool(const struct variable *v, const char *value)
{
    bool on = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

    if (!on && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
        return -EINVAL;
    return store(v, false, on, false) ? 0 : -ERANGE;
}

static int set_enum(const struct variable *v, const char *value)
{
    const struct btf_enum *values = btf_enum(v->type);

    for (__u32 i = 0; i < btf_vlen(v->type); i++) {
        if (strcmp(btf__name_by_offset(v->btf, values[i].name_off), value) == 0) {
            memcpy(v->value, &values[i].val, v->size < sizeof(__s32) ? v->size : sizeof(__s32));
            return 0;
        }
    }
    return set_number(v, true, value);
}

static int set_text(const struct variable *v, const char *value)
{
    const struct btf_type *element = plain_type(v->btf, btf_array(v->type)->type);

    if (!element || !btf_is_int(element) || element->size != 1)
        return -EINVAL;
    if (strlen(value) >= v->size)
        return -ERANGE;
    memset(v->value, 0, v->size);
    memcpy(v->value, value, strlen(value));
    return 0;
}

static int set_value(const struct variable *v, const char *value)
{
    if (btf_is_int(v->type) && btf_int_encoding(v->type) & BTF_INT_BOOL)
        return set_bool(v, value);
    if (btf_is_int(v->type))
        return set_number(v, btf_int_encoding(v->type) & BTF_INT_SIGNED, value);
    if (btf_is_enum(v->type))
        return set_enum(v, value);
    if (btf_is_array(v->type))
        return set_text(v, value);
    return -EINVAL;
}

/* "no such tunable; this program has a, b" */
static void list_tunables(const struct bpf_object *object, char *text, size_t size)
{
    const struct btf *btf = bpf_object__btf(object);
    __s32 id = btf ? btf__find_by_name_kind(btf, RODATA, BTF_KIND_DATASEC) : -1;
    const struct btf_type *datasec = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
    const char *separator = "no such tunable; this program has ";
    size_t used = 0;

    for (__u32 i = 0; datasec && i < btf_vlen(datasec) && used < size; i++) {
        const struct btf_type *var = btf__type_by_id(btf, (btf_var_secinfos(datasec) + i)->type);
        const char *name = btf__name_by_offset(btf, var->name_off);

        if (strncmp(name, RESERVED, strlen(RESERVED)) == 0)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s", separator, name);
        separator = ", ";
    }
    if (used == 0)
        snprintf(text, size, "no such tunable; this program has none");
}

/* What a value of this type has to be, for people. */
static void describe_type(const struct variable *v, char *text, size_t size)
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

static int set_one(struct bpf_object *object, const char *tunable, char *text)
{
    const char *value = strchr(tunable, '=') + 1;
    char why[VH_TEXT_MAX / 2];
    char name[128];
    struct variable v;
    int error = -EINVAL;

    snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - tunable), tunable);
    if (strncmp(name, RESERVED, strlen(RESERVED)) == 0) {
        snprintf(why, sizeof(why),
                 "names that begin with " RESERVED " are not for policies to set");
    } else if (!find_variable(object, RODATA, name, &v)) {
        list_tunables(object, why, sizeof(why));
    } else {
        error = set_value(&v, value);
        if (error == 0)
            return 0;
        describe_type(&v, why, sizeof(why));
    }
    snprintf(text, VH_TEXT_MAX, "tunable %s=%.128s: %s", name, value, why);
    return error;
}

int vh_tunables_set(struct bpf_object *object, const char *tunables, size_t len, char *text)
{
    for (const char *t = tunables; t < tunables + len; t += strlen(t) + 1) {
        int error = t[0] == VH_OPTION_MARK ? 0 : set_one(object, t, text);

        if (error)
            return error;
    }
    return 0;
}
