// SPDX-License-Identifier: GPL-2.0-or-later
// Validates the part of an object's BTF that hints are decoded by.
#include "hint/btf.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "wire.h"

struct walk {
    const struct btf *btf;
    guint64 values; /* met so far */
    guint depth;
    GError **error;
};

/* What is known of a type that was walked; size -1: refused. */
struct extent {
    gint64 size;
    guint64 values;
};

static struct extent walk_type(struct walk *walk, uint32_t id, const char *where);

static const struct extent refused = {.size = -1};

static struct extent refuse(struct walk *walk, const char *where, const char *what)
{
    g_set_error(walk->error, VH_ERROR, VH_ERROR_INVALID_OBJECT,
                "BTF of \"%s\" %s: compile with an unmodified clang -g -target bpf", where, what);
    return refused;
}

static const char *name_of(const struct btf *btf, uint32_t offset)
{
    const char *name = btf__name_by_offset(btf, offset);

    return name && g_utf8_validate(name, -1, NULL) ? name : NULL;
}

const struct btf_type *vh_btf_strip(const struct btf *btf, uint32_t id)
{
    for (guint depth = 0; depth < VH_BTF_DEPTH_MAX; depth++) {
        const struct btf_type *type = btf__type_by_id(btf, id);

        if (!type)
            return NULL;
        if (!btf_is_mod(type) && !btf_is_typedef(type))
            return type;
        id = type->type;
    }
    return NULL;
}

uint32_t vh_btf_size(const struct btf *btf, uint32_t id)
{
    const struct btf_type *type = vh_btf_strip(btf, id);

    if (btf_is_ptr(type))
        return 8;
    if (btf_is_array(type))
        return vh_btf_size(btf, btf_array(type)->type) * btf_array(type)->nelems;
    return type->size;
}

int64_t vh_btf_extend(uint64_t value, uint32_t bits)
{
    uint64_t sign = (uint64_t)1 << (bits - 1);

    return bits >= 64 ? (int64_t)value : (int64_t)((value ^ sign) - sign);
}

/* Compilers of before LLVM 16 do not say which enums are signed. */
const char *vh_btf_constant(const struct btf *btf, const struct btf_type *type, uint64_t value,
                            uint32_t bits)
{
    int64_t extended = vh_btf_extend(value, bits);

    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        bool narrow = btf_is_enum(type);
        int64_t known =
            narrow ? btf_enum(type)[i].val : (int64_t)btf_enum64_value(&btf_enum64(type)[i]);
        bool is_signed = btf_kflag(type) || (narrow && known < 0);

        if (known == (is_signed ? extended : (int64_t)value))
            return btf__name_by_offset(btf, narrow ? btf_enum(type)[i].name_off
                                                   : btf_enum64(type)[i].name_off);
    }
    return NULL;
}

static struct extent walk_array(struct walk *walk, const struct btf_type *type, const char *where)
{
    const struct btf_array *array = btf_array(type);
    struct extent element = walk_type(walk, array->type, where);

    if (element.size < 0)
        return refused;
    if (element.size == 0 && array->nelems)
        return refuse(walk, where, "has an array of elements without a size");
    if (array->nelems && (guint64)element.size * array->nelems > VH_HINT_MAX)
        return refuse(walk, where, "has an array larger than any hint");
    return (struct extent){element.size * array->nelems, element.values * array->nelems + 1};
}

/* 0, or -1: the member lies outside of its struct, or is a bit field of something else than an
 * integer. */
static int check_bits(const struct walk *walk, const struct btf_type *outer, uint32_t i,
                      gint64 size)
{
    const struct btf_member *member = btf_members(outer) + i;
    guint64 offset = btf_member_bit_offset(outer, i);
    guint64 bits = btf_member_bitfield_size(outer, i);
    const struct btf_type *type = vh_btf_strip(walk->btf, member->type);

    if (!type)
        return -1;
    if (bits) {
        if (!btf_is_int(type) && !btf_is_any_enum(type))
            return -1;
        if (bits > (guint64)size * 8 || bits > 64)
            return -1;
        return offset + bits <= (guint64)outer->size * 8 ? 0 : -1;
    }
    if (offset % 8)
        return -1;
    return offset / 8 + (guint64)size <= outer->size ? 0 : -1;
}

static struct extent walk_struct(struct walk *walk, const struct btf_type *type, const char *where)
{
    guint64 values = 1;

    if (type->size > VH_HINT_MAX)
        return refuse(walk, where, "is larger than any hint");
    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        const struct btf_member *member = btf_members(type) + i;
        const char *name = name_of(walk->btf, member->name_off);
        g_autofree char *inner = g_strdup_printf("%s.%s", where, name ? name : "?");
        struct extent extent = refused;

        if (!name)
            return refuse(walk, inner, "has a name outside of the string table");
        extent = walk_type(walk, member->type, inner);
        if (extent.size < 0)
            return refused;
        if (check_bits(walk, type, i, extent.size) < 0)
            return refuse(walk, inner, "lies outside of its struct");
        values += extent.values;
        if (values > VH_BTF_VALUES_MAX)
            return refuse(walk, where, "holds too many values to decode");
    }
    return (struct extent){type->size, values};
}

static struct extent walk_scalar(struct walk *walk, const struct btf_type *type, const char *where,
                                 guint32 largest)
{
    if (type->size == 0 || type->size > largest || (type->size & (type->size - 1)))
        return refuse(walk, where, "has a number of a size that no compiler makes");
    if (btf_is_int(type) && (btf_int_offset(type) || btf_int_bits(type) > type->size * 8))
        return refuse(walk, where, "has an integer with bits outside of itself");
    return (struct extent){type->size, 1};
}

static struct extent walk_enum(struct walk *walk, const struct btf_type *type, const char *where)
{
    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        uint32_t name =
            btf_is_enum(type) ? btf_enum(type)[i].name_off : btf_enum64(type)[i].name_off;

        if (!name_of(walk->btf, name))
            return refuse(walk, where, "names an enumerator outside of the string table");
    }
    return walk_scalar(walk, type, where, 8);
}

static struct extent walk_kind(struct walk *walk, const struct btf_type *type, const char *where)
{
    switch (btf_kind(type)) {
    case BTF_KIND_INT:
        return walk_scalar(walk, type, where, 16);
    case BTF_KIND_FLOAT:
        return walk_scalar(walk, type, where, 8);
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        return walk_enum(walk, type, where);
    case BTF_KIND_PTR:
        return (struct extent){8, 1};
    case BTF_KIND_ARRAY:
        return walk_array(walk, type, where);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        return walk_struct(walk, type, where);
    default:
        return refuse(walk, where, "has a member of a kind that holds no data");
    }
}

/* Are the names good of all types from `id` down to the one that holds data? */
static bool names_good(const struct btf *btf, uint32_t id)
{
    const struct btf_type *type = btf__type_by_id(btf, id);

    while (name_of(btf, type->name_off) && (btf_is_mod(type) || btf_is_typedef(type)))
        type = btf__type_by_id(btf, type->type);
    return name_of(btf, type->name_off);
}

static struct extent walk_type(struct walk *walk, uint32_t id, const char *where)
{
    const struct btf_type *type = vh_btf_strip(walk->btf, id);
    struct extent extent = refused;

    if (!type)
        return refuse(walk, where, "refers to a type that is not there, or to itself");
    if (!names_good(walk->btf, id))
        return refuse(walk, where, "has a type whose name is outside of the string table");
    if (walk->depth >= VH_BTF_DEPTH_MAX)
        return refuse(walk, where, "is nested too deeply, or contains itself");
    /* Bounds the walk itself: wide structs nested in one another multiply. */
    if (++walk->values > VH_BTF_VALUES_MAX)
        return refuse(walk, where, "holds too many values to decode");
    walk->depth++;
    extent = walk_kind(walk, type, where);
    walk->depth--;
    return extent;
}

int vh_btf_check(const struct btf *btf, uint32_t id, GError **error)
{
    struct walk walk = {.btf = btf, .error = error};
    const struct btf_type *type = btf__type_by_id(btf, id);
    const char *name = type ? name_of(btf, type->name_off) : NULL;
    struct extent extent = walk_type(&walk, id, name && *name ? name : "?");

    if (extent.size >= 0 && extent.values > VH_BTF_VALUES_MAX)
        extent = refuse(&walk, name, "holds too many values to decode");
    return (int)extent.size;
}
