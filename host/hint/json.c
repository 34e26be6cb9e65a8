// SPDX-License-Identifier: GPL-2.0-or-later
// Decodes hints by BTF into JSON.
#include "hint/json.h"

#include <math.h>
#include <string.h>

#include "base/json-text.h"
#include "hint/btf.h"

struct decoder {
    GString *out;
    const struct btf *btf;
    const uint8_t *record;
    uint32_t end; /* bytes of the record that mean something */
};

static void put_type(struct decoder *decoder, uint32_t id, uint32_t offset);

bool vh_hint_fits(const struct vh_kind *kind, const struct vh_hint *hint)
{
    if (sizeof(*hint) + hint->key_size > kind->size)
        return false;
    return (hint->flags & VH_HINT_GONE) ? hint->size <= kind->size : hint->size == kind->size;
}

static uint64_t read_bytes(const uint8_t *at, uint32_t size)
{
    uint64_t value = 0;

    memcpy(&value, at, MIN(size, sizeof(value)));
    return value;
}

/* A number of `bits` bits, already shifted down. */
static void put_number(struct decoder *decoder, const struct btf_type *type, uint64_t value,
                       uint32_t bits)
{
    bool is_enum = btf_is_any_enum(type);
    const char *name = is_enum ? vh_btf_constant(decoder->btf, type, value, bits) : NULL;

    if (name)
        vh_json_append_string(decoder->out, name, -1);
    else if (!is_enum && (btf_int_encoding(type) & BTF_INT_BOOL))
        g_string_append(decoder->out, value ? "true" : "false");
    else if (is_enum ? btf_kflag(type) : btf_int_encoding(type) & BTF_INT_SIGNED)
        g_string_append_printf(decoder->out, "%" G_GINT64_FORMAT, vh_btf_extend(value, bits));
    else
        g_string_append_printf(decoder->out, "%" G_GUINT64_FORMAT, value);
}

static void put_wide(struct decoder *decoder, const uint8_t *at)
{
    g_string_append_printf(decoder->out,
                           "\"0x%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x\"",
                           read_bytes(at + 8, 8), read_bytes(at, 8));
}

static void put_float(struct decoder *decoder, const uint8_t *at, uint32_t size)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    double value = 0;
    float narrow = 0;

    if (size == 8)
        memcpy(&value, at, sizeof(value));
    else if (size == 4)
        memcpy(&narrow, at, sizeof(narrow));
    if (size == 4)
        value = (double)narrow;
    /* JSON has no word for the others. */
    g_string_append(decoder->out,
                    isfinite(value) ? g_ascii_dtostr(text, sizeof(text), value) : "null");
}

static void put_array(struct decoder *decoder, const struct btf_type *type, uint32_t offset)
{
    const struct btf_array *array = btf_array(type);
    const struct btf_type *element = vh_btf_strip(decoder->btf, array->type);
    const char *name = btf__name_by_offset(decoder->btf, element->name_off);
    bool chars =
        btf_is_int(element) && element->size == 1 &&
        ((btf_int_encoding(element) & BTF_INT_CHAR) || (name && g_str_equal(name, "char")));
    uint32_t size = array->nelems ? vh_btf_size(decoder->btf, array->type) : 0;

    if (chars) {
        const char *text = (const char *)decoder->record + offset;

        vh_json_append_string(decoder->out, text, (gssize)strnlen(text, array->nelems));
        return;
    }
    g_string_append_c(decoder->out, '[');
    for (uint32_t i = 0; i < array->nelems; i++) {
        if (i)
            g_string_append_c(decoder->out, ',');
        put_type(decoder, array->type, offset + i * size);
    }
    g_string_append_c(decoder->out, ']');
}

static void put_bitfield(struct decoder *decoder, const struct btf_type *type, uint32_t bit,
                         uint32_t bits)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bits; i++) {
        uint32_t at = bit + i;

        value |= (uint64_t)(decoder->record[at / 8] >> (at % 8) & 1) << i;
    }
    put_number(decoder, type, value, bits);
}

/* The members from `first` on, without braces; anonymous structs and unions are spread out. */
static void put_members(struct decoder *decoder, const struct btf_type *outer, uint32_t offset,
                        uint32_t first)
{
    for (uint32_t i = first; i < btf_vlen(outer); i++) {
        const struct btf_member *member = btf_members(outer) + i;
        const char *name = btf__name_by_offset(decoder->btf, member->name_off);
        const struct btf_type *type = vh_btf_strip(decoder->btf, member->type);
        uint32_t bit = offset * 8 + btf_member_bit_offset(outer, i);
        uint32_t bits = btf_member_bitfield_size(outer, i);
        uint32_t size = vh_btf_size(decoder->btf, member->type);

        if (!*name && btf_is_composite(type)) {
            put_members(decoder, type, bit / 8, 0);
            continue;
        }
        if (!*name || bit + (guint64)(bits ? bits : size * 8) > (guint64)decoder->end * 8)
            continue;
        if (decoder->out->str[decoder->out->len - 1] != '{')
            g_string_append_c(decoder->out, ',');
        vh_json_append_string(decoder->out, name, -1);
        g_string_append_c(decoder->out, ':');
        if (bits)
            put_bitfield(decoder, type, bit, bits);
        else
            put_type(decoder, member->type, bit / 8);
    }
}

static void put_type(struct decoder *decoder, uint32_t id, uint32_t offset)
{
    const struct btf_type *type = vh_btf_strip(decoder->btf, id);
    const uint8_t *at = decoder->record + offset;

    switch (btf_kind(type)) {
    case BTF_KIND_INT:
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        if (type->size > 8)
            put_wide(decoder, at);
        else
            put_number(decoder, type, read_bytes(at, type->size), type->size * 8);
        break;
    case BTF_KIND_FLOAT:
        put_float(decoder, at, type->size);
        break;
    case BTF_KIND_PTR:
        g_string_append_printf(decoder->out, "\"0x%" G_GINT64_MODIFIER "x\"", read_bytes(at, 8));
        break;
    case BTF_KIND_ARRAY:
        put_array(decoder, type, offset);
        break;
    default:
        g_string_append_c(decoder->out, '{');
        put_members(decoder, type, offset, 0);
        g_string_append_c(decoder->out, '}');
        break;
    }
}

void vh_hint_json(GString *out, const char *guest, const char *program, const struct vh_kind *kind,
                  const uint8_t *record, gint64 seq)
{
    struct vh_hint hint;
    struct decoder decoder = {.out = out, .btf = kind->btf, .record = record};
    bool gone = false;

    memcpy(&hint, record, sizeof(hint));
    gone = hint.flags & VH_HINT_GONE;
    decoder.end = gone ? (uint32_t)sizeof(hint) + hint.key_size : kind->size;
    g_string_append(out, "{\"guest\":");
    vh_json_append_string(out, guest, -1);
    g_string_append(out, ",\"program\":");
    vh_json_append_string(out, program, -1);
    g_string_append(out, ",\"kind\":");
    vh_json_append_string(out, kind->name, -1);
    g_string_append_printf(out, ",\"gone\":%s,\"key\":%u,\"cpu\":%u,\"ktime\":%" G_GUINT64_FORMAT,
                           gone ? "true" : "false", hint.key_size, hint.cpu, (guint64)hint.ktime);
    if (seq >= 0)
        g_string_append_printf(out, ",\"seq\":%" G_GINT64_FORMAT, seq);
    g_string_append(out, ",\"fields\":{");
    put_members(&decoder, btf__type_by_id(kind->btf, kind->type), 0, 1);
    g_string_append(out, "}}");
}
