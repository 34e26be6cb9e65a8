// SPDX-License-Identifier: GPL-2.0-or-later
// Finds fields by their path in BTF and reads them.
#include "hint/field.h"

#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "hint/btf.h"

/* Where the walk along a path stands. */
struct place {
    uint32_t type_id; /* stripped of nothing */
    uint32_t bit;
    uint32_t bitfield; /* bits; 0: none */
};

/* ---- the walk ---- */

/* The member `name` of a struct or union; those of anonymous members count as its own. Where it
 * begins is added to `place`. */
static bool find_member(const struct btf *btf, const struct btf_type *outer, const char *name,
                        struct place *place)
{
    for (uint32_t i = 0; i < btf_vlen(outer); i++) {
        const struct btf_member *member = btf_members(outer) + i;
        const char *found = btf__name_by_offset(btf, member->name_off);
        const struct btf_type *type = vh_btf_strip(btf, member->type);
        struct place inner = {member->type, place->bit + btf_member_bit_offset(outer, i),
                              btf_member_bitfield_size(outer, i)};

        if (!*found && btf_is_composite(type) && find_member(btf, type, name, &inner)) {
            *place = inner;
            return true;
        }
        if (*found && g_str_equal(found, name)) {
            *place = inner;
            return true;
        }
    }
    return false;
}

static void collect_names(const struct btf *btf, const struct btf_type *outer, GPtrArray *names)
{
    for (uint32_t i = 0; i < btf_vlen(outer); i++) {
        const struct btf_member *member = btf_members(outer) + i;
        const char *found = btf__name_by_offset(btf, member->name_off);
        const struct btf_type *type = vh_btf_strip(btf, member->type);

        if (*found)
            g_ptr_array_add(names, (char *)found);
        else if (btf_is_composite(type))
            collect_names(btf, type, names);
    }
}

/* `before`: characters of the path that were found. */
static int refuse_member(const struct vh_kind *kind, const struct btf_type *outer, const char *name,
                         const char *path, gsize before, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *best = NULL;

    collect_names(kind->btf, outer, names);
    g_ptr_array_add(names, NULL);
    best = vh_nearest(name, (const char *const *)names->pdata);
    if (!best)
        return vh_invalid(error, "hints of kind \"%s\" have no field \"%s\"", kind->name, path);
    return vh_invalid(error, "hints of kind \"%s\" have no field \"%s\"; did you mean \"%.*s%s\"?",
                      kind->name, path, (int)before, path, best);
}

/* One "[N]". `*at` is behind the '['. */
static int step_index(const struct vh_kind *kind, const char **at, const char *path,
                      struct place *place, GError **error)
{
    const struct btf_type *type = vh_btf_strip(kind->btf, place->type_id);
    const struct btf_array *array = btf_is_array(type) ? btf_array(type) : NULL;
    char *end = NULL;
    guint64 index = 0;

    if (!array)
        return vh_invalid(error, "\"%s\": what stands before \"[\" is no array", path);
    index = g_ascii_strtoull(*at, &end, 10);
    if (!g_ascii_isdigit(**at) || *end != ']')
        return vh_invalid(error, "\"%s\": an element of an array is named by its number: FIELD[0]",
                          path);
    if (index >= array->nelems)
        return vh_invalid(error, "\"%s\": the array has %u elements (0-%d)", path, array->nelems,
                          (int)array->nelems - 1);
    place->type_id = array->type;
    place->bit += (uint32_t)index * vh_btf_size(kind->btf, array->type) * 8;
    *at = end + 1;
    return 0;
}

/* One name. */
static int step_name(const struct vh_kind *kind, const char **at, const char *path,
                     struct place *place, GError **error)
{
    const struct btf_type *type = vh_btf_strip(kind->btf, place->type_id);
    gsize len = strcspn(*at, ".[");
    g_autofree char *name = g_strndup(*at, len);

    if (!len)
        return vh_invalid(error, "\"%s\" is no field: separate names by \".\", as in a.b[0]", path);
    if (!btf_is_composite(type))
        return vh_invalid(error, "\"%s\": what stands before \".%s\" is no struct", path, name);
    if (!find_member(kind->btf, type, name, place))
        return refuse_member(kind, type, name, path, (gsize)(*at - path), error);
    *at += len;
    return 0;
}

static int walk(const struct vh_kind *kind, const char *path, struct place *place, GError **error)
{
    const char *at = path;

    if (strlen(path) > VH_PATH_MAX)
        return vh_invalid(error, "a field's path has at most %u characters", VH_PATH_MAX);
    if (step_name(kind, &at, path, place, error) < 0)
        return -1;
    while (*at) {
        char sign = *at++;
        int result = 0;

        if (sign == '.')
            result = step_name(kind, &at, path, place, error);
        else if (sign == '[')
            result = step_index(kind, &at, path, place, error);
        else
            result = vh_invalid(
                error, "\"%s\" is no field: there is \"%c\" where \".\" or \"[\" should be", path,
                sign);
        if (result < 0)
            return -1;
    }
    return 0;
}

/* ---- what was found ---- */

static bool is_char(const struct vh_kind *kind, const struct btf_type *type)
{
    const char *name = btf_is_int(type) ? btf__name_by_offset(kind->btf, type->name_off) : "";

    return btf_is_int(type) && type->size == 1 &&
           ((btf_int_encoding(type) & BTF_INT_CHAR) || g_str_equal(name, "char"));
}

/* An integer, bool, enum or pointer of at most 64 bits. */
static bool describe_scalar(const struct btf_type *type, struct vh_fieldref *ref)
{
    if (btf_is_ptr(type)) {
        ref->bits = 64;
        return true;
    }
    if ((!btf_is_int(type) && !btf_is_any_enum(type)) || !type->size || type->size > 8)
        return false;
    ref->bits = type->size * 8;
    if (btf_is_any_enum(type)) {
        ref->type = VH_FIELD_ENUM;
        ref->is_signed = btf_kflag(type);
    } else if (btf_int_encoding(type) & BTF_INT_BOOL) {
        ref->type = VH_FIELD_BOOL;
    } else {
        ref->is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
    }
    return true;
}

int vh_fieldref_find(const struct vh_kind *kind, const char *path, struct vh_fieldref *ref,
                     GError **error)
{
    struct place place = {.type_id = kind->type};
    struct vh_fieldref made = {.type = VH_FIELD_INT, .count = 1};
    const struct btf_type *type = NULL;

    if (walk(kind, path, &place, error) < 0)
        return -1;
    type = vh_btf_strip(kind->btf, place.type_id);
    made.bit = place.bit;
    if (btf_is_array(type)) {
        const struct btf_array *array = btf_array(type);
        const struct btf_type *element = vh_btf_strip(kind->btf, array->type);

        made.count = array->nelems;
        if (is_char(kind, element)) {
            made.type = VH_FIELD_TEXT;
            made.bits = 8;
            *ref = made;
            return 0;
        }
        if (!array->nelems || !btf_is_int(element) || !describe_scalar(element, &made) ||
            made.type != VH_FIELD_INT)
            return vh_invalid(error,
                              "the field \"%s\" of \"%s\" is an array, but not of integers or "
                              "characters: name an element, such as %s[0]",
                              path, kind->name, path);
        made.type = VH_FIELD_INTS;
        *ref = made;
        return 0;
    }
    if (!describe_scalar(type, &made))
        return vh_invalid(
            error, "the field \"%s\" of \"%s\" is no number, text or array of integers%s", path,
            kind->name, btf_is_composite(type) ? ": name a field in it, such as FIELD.INNER" : "");
    if (btf_is_any_enum(type))
        made.type_id = (uint32_t)place.type_id;
    if (place.bitfield)
        made.bits = place.bitfield;
    *ref = made;
    return 0;
}

int vh_fieldref_find_number(const struct vh_kind *kind, const char *path, struct vh_fieldref *ref,
                            GError **error)
{
    struct vh_fieldref made = {0};

    if (vh_fieldref_find(kind, path, &made, error) < 0)
        return -1;
    if (made.type != VH_FIELD_INT)
        return vh_invalid(error, "\"%s\" is no integer", path);
    *ref = made;
    return 0;
}

/* ---- reading ---- */

static uint64_t extend(const struct vh_fieldref *ref, uint64_t value)
{
    if (ref->bits < 64)
        value &= ((uint64_t)1 << ref->bits) - 1;
    return ref->is_signed ? (uint64_t)vh_btf_extend(value, ref->bits) : value;
}

uint64_t vh_fieldref_number(const struct vh_fieldref *ref, const uint8_t *record)
{
    const uint8_t *first = record + ref->bit / 8;
    uint32_t shift = ref->bit % 8;
    uint32_t bytes = (shift + ref->bits + 7) / 8;
    uint64_t value = 0;

    memcpy(&value, first, MIN(bytes, sizeof(value)));
    value >>= shift;
    if (bytes > sizeof(value))
        value |= (uint64_t)first[8] << (64 - shift);
    return extend(ref, value);
}

const char *vh_fieldref_text(const struct vh_fieldref *ref, const uint8_t *record, uint32_t *len)
{
    const char *text = (const char *)record + ref->bit / 8;

    *len = (uint32_t)strnlen(text, ref->count);
    return text;
}

void vh_fieldref_mask(const struct vh_fieldref *ref, const uint8_t *record, uint64_t *words,
                      uint32_t count)
{
    gsize room = count * sizeof(words[0]);
    gsize size = MIN((gsize)ref->bits * ref->count / 8, room);

    if (ref->type == VH_FIELD_INTS ||
        (ref->type == VH_FIELD_INT && ref->bit % 8 == 0 && ref->bits % 8 == 0)) {
        memcpy(words, record + ref->bit / 8, size);
        memset((char *)words + size, 0, room - size);
    } else {
        memset(words, 0, room);
        words[0] = vh_fieldref_number(ref, record);
    }
}

/* ---- enums and people ---- */

static uint64_t constant_value(const struct btf_type *type, uint32_t index)
{
    return btf_is_enum(type) ? (uint64_t)(int64_t)btf_enum(type)[index].val
                             : btf_enum64_value(&btf_enum64(type)[index]);
}

static const char *constant_name(const struct vh_kind *kind, const struct btf_type *type,
                                 uint32_t index)
{
    return btf__name_by_offset(kind->btf, btf_is_enum(type) ? btf_enum(type)[index].name_off
                                                            : btf_enum64(type)[index].name_off);
}

/* May the field be this constant's value? */
static bool can_hold(const struct vh_fieldref *ref, const struct btf_type *type, uint64_t value)
{
    uint64_t plain = btf_is_enum(type) ? (uint32_t)value : value;
    uint64_t mask = ~(uint64_t)0 >> (64 - ref->bits);
    bool as_signed = vh_btf_extend(value & mask, ref->bits) == (int64_t)value;
    bool as_unsigned = (plain & ~mask) == 0;

    /* Of an enum below 64 bits clang says only from version 16 on that it is signed. */
    return ref->is_signed ? as_signed : as_unsigned || (btf_is_enum(type) && as_signed);
}

int vh_fieldref_constant(const struct vh_kind *kind, const struct vh_fieldref *ref,
                         const char *name, uint64_t *value, GError **error)
{
    const struct btf_type *type = vh_btf_strip(kind->btf, ref->type_id);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *best = NULL;

    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        const char *found = constant_name(kind, type, i);
        uint64_t number = constant_value(type, i);

        if (g_str_equal(found, name) && !can_hold(ref, type, number))
            return vh_invalid(error,
                              "it is never %s, which is %" G_GINT64_FORMAT ": it has %u bits", name,
                              (gint64)number, ref->bits);
        if (g_str_equal(found, name)) {
            *value = extend(ref, number);
            return 0;
        }
        g_ptr_array_add(names, (char *)found);
    }
    g_ptr_array_add(names, NULL);
    best = vh_nearest(name, (const char *const *)names->pdata);
    return vh_invalid(error, "the enum has no constant %s%s%s%s", name,
                      best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
}

static void print_number(const struct vh_kind *kind, const struct vh_fieldref *ref, uint64_t value,
                         GString *out)
{
    const struct btf_type *type =
        ref->type == VH_FIELD_ENUM ? vh_btf_strip(kind->btf, ref->type_id) : NULL;
    uint64_t mask = ref->bits < 64 ? ((uint64_t)1 << ref->bits) - 1 : ~(uint64_t)0;
    const char *name = type ? vh_btf_constant(kind->btf, type, value & mask, ref->bits) : NULL;

    if (name)
        g_string_append(out, name);
    else if (ref->type == VH_FIELD_BOOL)
        g_string_append(out, value ? "true" : "false");
    else if (ref->is_signed)
        g_string_append_printf(out, "%" G_GINT64_FORMAT, (gint64)value);
    else
        g_string_append_printf(out, "%" G_GUINT64_FORMAT, (guint64)value);
}

void vh_fieldref_print(const struct vh_kind *kind, const struct vh_fieldref *ref,
                       const uint8_t *record, GString *out)
{
    struct vh_fieldref element = *ref;
    const char *text = NULL;
    uint32_t len = 0;

    if (ref->type == VH_FIELD_TEXT) {
        text = vh_fieldref_text(ref, record, &len);
        g_string_append_len(out, text, (gssize)len);
        return;
    }
    if (ref->type != VH_FIELD_INTS) {
        print_number(kind, ref, vh_fieldref_number(ref, record), out);
        return;
    }
    element.type = VH_FIELD_INT;
    for (uint32_t i = 0; i < ref->count; i++) {
        g_string_append(out, i ? "," : "");
        element.bit = ref->bit + i * ref->bits;
        print_number(kind, &element, vh_fieldref_number(&element, record), out);
    }
}
