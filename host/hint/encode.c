// SPDX-License-Identifier: GPL-2.0-or-later
// Encodes hints' fields from JSON by BTF.
#include "hint/encode.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "hint/btf.h"

struct encoder {
    const struct btf *btf;
    uint8_t *record;
    const char *field; /* for messages */
    GError **error;
};

static int put_type(struct encoder *encoder, uint32_t id, uint32_t offset, JsonNode *node);
static int put_members(struct encoder *encoder, const struct btf_type *outer, uint32_t offset,
                       JsonObject *fields, uint32_t first);

static int refuse(const struct encoder *encoder, const char *what)
{
    g_set_error(encoder->error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT, "field \"%s\" %s",
                encoder->field, what);
    return -1;
}

static void put_bits(struct encoder *encoder, uint32_t bit, uint32_t bits, uint64_t value)
{
    for (uint32_t i = 0; i < bits; i++) {
        uint32_t at = bit + i;
        uint8_t mask = (uint8_t)(1u << at % 8);

        if (value >> i & 1)
            encoder->record[at / 8] |= mask;
        else
            encoder->record[at / 8] &= (uint8_t)~mask;
    }
}

/* The value of an enum's constant. Whether there is one of that name. */
static bool find_constant(const struct encoder *encoder, const struct btf_type *type,
                          const char *name, uint64_t *value)
{
    for (uint32_t i = 0; i < btf_vlen(type); i++) {
        uint32_t offset =
            btf_is_enum(type) ? btf_enum(type)[i].name_off : btf_enum64(type)[i].name_off;
        const char *known = btf__name_by_offset(encoder->btf, offset);

        if (!known || !g_str_equal(known, name))
            continue;
        *value = btf_is_enum(type) ? (uint64_t)(int64_t)btf_enum(type)[i].val
                                   : btf_enum64_value(&btf_enum64(type)[i]);
        return true;
    }
    return false;
}

/* A number of `bits` bits: an integer, a bool, an enum's name or number. */
static int put_number(struct encoder *encoder, const struct btf_type *type, uint32_t bit,
                      uint32_t bits, JsonNode *node)
{
    const char *text = vh_json_text(node);
    uint64_t value = 0;
    int64_t number = 0;
    bool truth = false;

    if (btf_is_any_enum(type) && text) {
        if (!find_constant(encoder, type, text, &value))
            return refuse(encoder, "names no constant of its enum");
        put_bits(encoder, bit, bits, value);
        return 0;
    }
    if (vh_json_bool(node, &truth))
        number = truth;
    else if (!vh_json_int(node, INT64_MIN, INT64_MAX, &number))
        return refuse(encoder, "is no whole number");
    if (bits < 64 &&
        (number < -((int64_t)1 << (bits - 1)) || number > (int64_t)(((uint64_t)1 << bits) - 1)))
        return refuse(encoder, "is too large a number for it");
    put_bits(encoder, bit, bits, (uint64_t)number);
    return 0;
}

/* "0x" and hexadecimal digits: pointers, and integers of 16 bytes. */
static int put_hex(struct encoder *encoder, uint32_t offset, uint32_t size, JsonNode *node)
{
    const char *text = vh_json_text(node);
    gsize digits = 0;

    if (!text || !g_str_has_prefix(text, "0x"))
        return refuse(encoder, "is not written as \"0x...\"");
    text += 2;
    digits = strlen(text);
    if (digits > 2 * (gsize)size || strspn(text, "0123456789abcdefABCDEF") != digits)
        return refuse(encoder, "is too long, or no hexadecimal number");
    for (gsize i = 0; i < digits; i++)
        put_bits(encoder, offset * 8 + (uint32_t)i * 4, 4,
                 (uint64_t)g_ascii_xdigit_value(text[digits - 1 - i]));
    return 0;
}

static int put_float(struct encoder *encoder, uint32_t offset, uint32_t size, JsonNode *node)
{
    double value = 0;
    float narrow = 0;

    if (vh_json_is_null(node)) /* what JSON has no word for */
        return 0;
    if (!vh_json_number(node, &value))
        return refuse(encoder, "is no number");
    narrow = (float)value;
    if (size == 8)
        memcpy(encoder->record + offset, &value, sizeof(value));
    else if (size == 4)
        memcpy(encoder->record + offset, &narrow, sizeof(narrow));
    return 0;
}

static int put_array(struct encoder *encoder, const struct btf_type *type, uint32_t offset,
                     JsonNode *node)
{
    const struct btf_array *array = btf_array(type);
    uint32_t size = vh_btf_size(encoder->btf, array->type);
    JsonArray *values = vh_json_array(node);
    const char *text = vh_json_text(node);

    if (text) {
        if (size != 1)
            return refuse(encoder, "is no text");
        /* What was no UTF-8 has become longer when it was decoded. */
        memcpy(encoder->record + offset, text, MIN(strlen(text), array->nelems));
        return 0;
    }
    if (!values)
        return refuse(encoder, "is no array");
    if (vh_json_length(values) > array->nelems)
        return refuse(encoder, "has too many elements");
    for (guint i = 0; i < vh_json_length(values); i++)
        if (put_type(encoder, array->type, offset + i * size, vh_json_element(values, i)) < 0)
            return -1;
    return 0;
}

static int put_type(struct encoder *encoder, uint32_t id, uint32_t offset, JsonNode *node)
{
    const struct btf_type *type = vh_btf_strip(encoder->btf, id);

    switch (btf_kind(type)) {
    case BTF_KIND_INT:
        return type->size > 8 ? put_hex(encoder, offset, type->size, node)
                              : put_number(encoder, type, offset * 8, type->size * 8, node);
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        return put_number(encoder, type, offset * 8, type->size * 8, node);
    case BTF_KIND_FLOAT:
        return put_float(encoder, offset, type->size, node);
    case BTF_KIND_PTR:
        return put_hex(encoder, offset, 8, node);
    case BTF_KIND_ARRAY:
        return put_array(encoder, type, offset, node);
    default:
        if (!vh_json_object(node))
            return refuse(encoder, "is no object");
        return put_members(encoder, type, offset, vh_json_object(node), 0);
    }
}

/* Puts the member `name`, also one of an anonymous struct or union. 1: done, 0: there is none, -1:
 * an error. */
static int put_member(struct encoder *encoder, const struct btf_type *outer, uint32_t offset,
                      const char *name, JsonNode *node, uint32_t first)
{
    for (uint32_t i = first; i < btf_vlen(outer); i++) {
        const struct btf_member *member = btf_members(outer) + i;
        const char *known = btf__name_by_offset(encoder->btf, member->name_off);
        const struct btf_type *type = vh_btf_strip(encoder->btf, member->type);
        uint32_t bit = offset * 8 + btf_member_bit_offset(outer, i);
        uint32_t bits = btf_member_bitfield_size(outer, i);

        if (!*known && btf_is_composite(type)) {
            int result = put_member(encoder, type, bit / 8, name, node, 0);

            if (result)
                return result;
        } else if (g_str_equal(known, name)) {
            int result = 0;

            encoder->field = name;
            result = bits ? put_number(encoder, type, bit, bits, node)
                          : put_type(encoder, member->type, bit / 8, node);
            return result < 0 ? -1 : 1;
        }
    }
    return 0;
}

static int put_members(struct encoder *encoder, const struct btf_type *outer, uint32_t offset,
                       JsonObject *fields, uint32_t first)
{
    g_autoptr(GList) names = json_object_get_members(fields);

    for (const GList *at = names; at; at = at->next) {
        const char *name = at->data;
        int result = put_member(encoder, outer, offset, name, vh_json_member(fields, name), first);

        if (result < 0)
            return -1;
        if (result == 0) {
            encoder->field = name;
            return refuse(encoder, "is not a field of its kind");
        }
    }
    return 0;
}

uint8_t *vh_hint_encode(const struct vh_kind *kind, const struct vh_encoded *head,
                        JsonObject *fields, GError **error)
{
    g_autofree uint8_t *record = g_malloc0(kind->size);
    struct encoder encoder = {.btf = kind->btf, .record = record, .error = error};
    struct vh_hint hint = {.size = (uint16_t)kind->size,
                           .kind = kind->number,
                           .key_size = (uint16_t)head->key_size,
                           .flags = head->gone ? VH_HINT_GONE : 0,
                           .cpu = head->cpu};

    if (head->key_size > kind->size - sizeof(hint)) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                    "a key of %u bytes is longer than a \"%s\" (%zu)", head->key_size, kind->name,
                    kind->size - sizeof(hint));
        return NULL;
    }
    if (put_members(&encoder, btf__type_by_id(kind->btf, kind->type), 0, fields, 1) < 0)
        return NULL;
    memcpy(record, &hint, sizeof(hint));
    return g_steal_pointer(&record);
}
