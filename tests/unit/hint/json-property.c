/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/ over kinds and records made at random: what json.c, field.c and encode.c make of them
 * by BTF is what they say by how they were made. */
#include <math.h>
#include <string.h>

#include "base/json-text.h"
#include "hint/btf.h"
#include "hint/encode.h"
#include "hint/field.h"
#include "hint/json.h"
#include "lib/random-btf.h"

#define KINDS 400
#define RECORDS 10 /* of each */

/* ---- what a record says ---- */

static guint64 bits_of(const guint8 *record, guint bit, guint bits)
{
    guint64 value = 0;

    for (guint i = 0; i < bits; i++)
        value |= (guint64)(record[(bit + i) / 8] >> (bit + i) % 8 & 1) << i;
    return value;
}

static gint64 extended(guint64 value, guint bits)
{
    return (gint64)(value << (64 - bits)) >> (64 - bits);
}

/* The place of the constant that has this value; -1: none has. */
static int constant_of(const struct random_type *type, guint64 value, guint bits)
{
    for (guint i = 0; i < type->constants->len; i++) {
        gint64 constant = g_array_index(type->constants, gint64, i);

        if (type->is_signed ? constant == extended(value, bits) : constant == (gint64)value)
            return (int)i;
    }
    return -1;
}

static char *number_text(const struct random_type *type, guint64 value, guint bits)
{
    int constant = type->shape == RANDOM_ENUM ? constant_of(type, value, bits) : -1;

    if (constant >= 0)
        return g_strdup_printf("E%d_%d", type->named_by, constant);
    if (type->is_bool)
        return g_strdup(value ? "true" : "false");
    return type->is_signed ? g_strdup_printf("%" G_GINT64_FORMAT, extended(value, bits))
                           : g_strdup_printf("%" G_GUINT64_FORMAT, value);
}

static void say_number(GString *out, const struct random_type *type, guint64 value, guint bits)
{
    g_autofree char *text = number_text(type, value, bits);

    if (*text == 'E')
        vh_json_append_string(out, text, -1);
    else
        g_string_append(out, text);
}

static void say_float(GString *out, const guint8 *at, guint size)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    double value = 0;
    float narrow = 0;

    memcpy(size == 8 ? (void *)&value : &narrow, at, size);
    value = size == 8 ? value : (double)narrow;
    g_string_append(out, isfinite(value) ? g_ascii_dtostr(text, sizeof(text), value) : "null");
}

static void say_members(GString *out, const struct random_type *type, const guint8 *record,
                        guint bit, guint end);

static void say(GString *out, const struct random_type *type, const guint8 *record, guint bit)
{
    const guint8 *at = record + bit / 8;

    if (type->shape == RANDOM_POINTER) {
        g_string_append_printf(out, "\"0x%" G_GINT64_MODIFIER "x\"", bits_of(at, 0, 64));
    } else if (type->shape == RANDOM_INT && type->size == 16) {
        g_string_append_printf(out, "\"0x%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x\"",
                               bits_of(at, 64, 64), bits_of(at, 0, 64));
    } else if (type->shape == RANDOM_INT || type->shape == RANDOM_ENUM) {
        say_number(out, type, bits_of(record, bit, type->size * 8), type->size * 8);
    } else if (type->shape == RANDOM_FLOAT) {
        say_float(out, at, type->size);
    } else if (type->shape == RANDOM_ARRAY && type->element->is_char) {
        g_autofree char *text = g_strndup((const char *)at, type->count);

        vh_json_append_string(out, text, -1);
    } else if (type->shape == RANDOM_ARRAY) {
        g_string_append_c(out, '[');
        for (guint i = 0; i < type->count; i++) {
            g_string_append(out, i ? "," : "");
            say(out, type->element, record, bit + i * type->element->size * 8);
        }
        g_string_append_c(out, ']');
    } else {
        g_string_append_c(out, '{');
        say_members(out, type, record, bit, G_MAXUINT);
        g_string_append_c(out, '}');
    }
}

/* Those that end before `end`, in bits. */
static void say_members(GString *out, const struct random_type *type, const guint8 *record,
                        guint bit, guint end)
{
    for (guint i = 0; i < type->members->len; i++) {
        const struct random_member *member = type->members->pdata[i];
        guint begin = bit + member->bit;
        guint bits = member->bits ? member->bits : member->type->size * 8;

        if (!member->name && member->type->members) {
            say_members(out, member->type, record, begin, end);
            continue;
        }
        if (!member->name || !member->type->id || begin + bits > end ||
            g_str_equal(member->name, "h"))
            continue;
        g_string_append_printf(out, "%s\"%s\":", out->str[out->len - 1] == '{' ? "" : ",",
                               member->name);
        if (member->bits)
            say_number(out, member->type, bits_of(record, begin, bits), bits);
        else
            say(out, member->type, record, begin);
    }
}

static char *words_of(const struct random_kind *kind, const guint8 *record)
{
    GString *out = g_string_new("{\"guest\":\"g\",\"program\":\"p\",\"kind\":\"random\",");
    struct vh_hint hint;
    bool gone = false;

    memcpy(&hint, record, sizeof(hint));
    gone = hint.flags & VH_HINT_GONE;
    g_string_append_printf(
        out, "\"gone\":%s,\"key\":%u,\"cpu\":%u,\"ktime\":%" G_GUINT64_FORMAT ",\"fields\":{",
        gone ? "true" : "false", hint.key_size, hint.cpu, (guint64)hint.ktime);
    say_members(out, kind->type, record, 0,
                gone ? (guint)(sizeof(hint) + hint.key_size) * 8 : G_MAXUINT);
    g_string_append(out, "}}");
    return g_string_free(out, FALSE);
}

/* ---- records ---- */

static guint8 some_byte(void)
{
    return (guint8)g_test_rand_int_range(0, g_test_rand_bit() ? 256 : 2);
}

/* Text that is written as it is read: letters, then zeros. */
static void set_exact_text(guint8 *at, guint count)
{
    guint len = count ? (guint)g_test_rand_int_range(0, (gint32)count + 1) : 0;

    memset(at, 0, count);
    for (guint i = 0; i < len; i++)
        at[i] = (guint8)g_test_rand_int_range(' ', 0x7f);
}

static void make_exact(const struct random_type *type, guint8 *record, guint at)
{
    if (type->shape == RANDOM_ARRAY && type->element->is_char)
        set_exact_text(record + at, type->count);
    for (guint i = 0; type->element && i < type->count; i++)
        make_exact(type->element, record, at + i * type->element->size);
    for (guint i = 0; type->members && i < type->members->len; i++) {
        const struct random_member *member = type->members->pdata[i];

        if (!member->bits)
            make_exact(member->type, record, at + member->bit / 8);
    }
}

/* In memory of its own, of just its size. */
static guint8 *some_record(const struct random_kind *kind)
{
    guint whole = kind->kind.size;
    guint key = (guint)g_test_rand_int_range(0, (gint32)(whole - sizeof(struct vh_hint)) + 1);
    bool gone = g_test_rand_int_range(0, 3) == 0;
    guint size = gone && g_test_rand_bit() ? (guint)sizeof(struct vh_hint) + key : whole;
    g_autofree guint8 *record = g_malloc(whole);
    struct vh_hint hint = {.size = (guint16)size,
                           .kind = 1,
                           .key_size = (guint16)key,
                           .flags = gone ? VH_HINT_GONE : 0,
                           .cpu = (guint32)g_test_rand_int(),
                           .ktime = (guint32)g_test_rand_int()};

    for (guint i = 0; i < whole; i++)
        record[i] = some_byte();
    if (kind->exact)
        make_exact(kind->type, record, 0);
    memcpy(record, &hint, sizeof(hint));
    g_assert_true(vh_hint_fits(&kind->kind, &hint));
    return g_memdup2(record, size);
}

static char *json_of(const struct random_kind *kind, const guint8 *record)
{
    GString *out = g_string_new(NULL);

    vh_hint_json(out, "g", "p", &kind->kind, record, -1);
    return g_string_free(out, FALSE);
}

static void test_decoded(void)
{
    for (guint i = 0; i < KINDS; i++) {
        struct random_kind *kind = random_kind_new(false);
        g_autoptr(GError) error = NULL;
        int size = vh_btf_check(kind->btf, kind->kind.type, &error);

        g_assert_no_error(error);
        g_assert_cmpint(size, ==, (int)kind->kind.size);
        for (guint j = 0; j < RECORDS; j++) {
            g_autofree guint8 *record = some_record(kind);
            g_autofree char *json = json_of(kind, record);
            g_autofree char *words = words_of(kind, record);

            g_assert_cmpstr(json, ==, words);
        }
        random_kind_free(kind);
    }
}

/* What is decoded can be encoded: the record says the same then. */
static void test_encoded(void)
{
    for (guint i = 0; i < KINDS * RECORDS; i++) {
        struct random_kind *kind = random_kind_new(true);
        g_autofree guint8 *record = some_record(kind);
        g_autofree char *json = json_of(kind, record);
        g_autofree char *again = NULL;
        g_autofree guint8 *encoded = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) root = json_from_string(json, &error);
        struct vh_hint hint;
        struct vh_encoded head;

        g_assert_no_error(error);
        memcpy(&hint, record, sizeof(hint));
        head = (struct vh_encoded){
            .key_size = hint.key_size, .cpu = hint.cpu, .gone = hint.flags & VH_HINT_GONE};
        encoded = vh_hint_encode(
            &kind->kind, &head, json_object_get_object_member(json_node_get_object(root), "fields"),
            &error);
        g_assert_no_error(error);
        memcpy(encoded + offsetof(struct vh_hint, ktime), &hint.ktime, sizeof(hint.ktime));
        again = json_of(kind, encoded);
        g_assert_cmpstr(again, ==, json);
        random_kind_free(kind);
    }
}

/* ---- fields by their path ---- */

static char *printed(const struct random_kind *kind, const char *path, const guint8 *record,
                     struct vh_fieldref *ref)
{
    g_autoptr(GError) error = NULL;
    GString *out = g_string_new(NULL);

    g_assert_cmpint(vh_fieldref_find(&kind->kind, path, ref, &error), ==, 0);
    g_assert_no_error(error);
    vh_fieldref_print(&kind->kind, ref, record, out);
    return g_string_free(out, FALSE);
}

static void check_number(const struct random_kind *kind, const struct random_type *type,
                         const char *path, const guint8 *record, guint bit, guint bits)
{
    struct vh_fieldref ref;
    g_autofree char *print = NULL;
    g_autofree char *text = NULL;
    guint64 value = bits_of(record, bit, MIN(bits, 64));

    if (bits > 64 || (type->size > 8))
        return; /* nothing to compare with */
    print = printed(kind, path, record, &ref);
    text = number_text(type, value, bits);
    g_assert_cmpstr(print, ==, text);
    if (type->is_signed)
        value = (guint64)extended(value, bits);
    g_assert_cmpuint(vh_fieldref_number(&ref, record), ==, value);
}

static void check_array(const struct random_kind *kind, const struct random_type *type,
                        const char *path, const guint8 *record, guint bit)
{
    const struct random_type *element = type->element;
    struct vh_fieldref ref;
    g_autofree char *print = NULL;
    guint64 mask[2];

    if (element->is_char) {
        g_autofree char *text = g_strndup((const char *)record + bit / 8, type->count);

        print = printed(kind, path, record, &ref);
        g_assert_cmpint(ref.type, ==, VH_FIELD_TEXT);
        g_assert_cmpstr(print, ==, text);
    } else if (element->shape == RANDOM_INT && element->size <= 8 && !element->is_bool &&
               type->count) {
        print = printed(kind, path, record, &ref);
        g_assert_cmpint(ref.type, ==, VH_FIELD_INTS);
        vh_fieldref_mask(&ref, record, mask, 2);
        for (guint i = 0; i < 128; i++)
            g_assert_cmpuint(mask[i / 64] >> i % 64 & 1, ==,
                             i < type->size * 8 ? bits_of(record, bit + i, 1) : 0);
    }
}

static void check_fields(const struct random_kind *kind, const struct random_type *type,
                         const char *path, const guint8 *record, guint bit)
{
    if (type->shape == RANDOM_INT || type->shape == RANDOM_ENUM || type->shape == RANDOM_POINTER)
        check_number(kind, type, path, record, bit, type->size * 8);
    if (type->shape == RANDOM_ARRAY)
        check_array(kind, type, path, record, bit);
    for (guint i = 0; type->element && i < type->count; i++) {
        g_autofree char *inner = g_strdup_printf("%s[%u]", path, i);

        check_fields(kind, type->element, inner, record, bit + i * type->element->size * 8);
    }
    for (guint i = 0; type->members && i < type->members->len; i++) {
        const struct random_member *member = type->members->pdata[i];
        const char *dot = *path && member->name ? "." : "";
        g_autofree char *inner = g_strconcat(path, dot, member->name ? member->name : "", NULL);

        if (member->bits && member->name)
            check_number(kind, member->type, inner, record, bit + member->bit, member->bits);
        else if (!member->bits)
            check_fields(kind, member->type, inner, record, bit + member->bit);
    }
}

static void test_fields(void)
{
    for (guint i = 0; i < KINDS; i++) {
        struct random_kind *kind = random_kind_new(false);
        g_autofree guint8 *record = g_malloc(kind->kind.size);

        for (guint j = 0; j < kind->kind.size; j++)
            record[j] = some_byte();
        check_fields(kind, kind->type, "", record, 0);
        random_kind_free(kind);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hint-property/decoded", test_decoded);
    g_test_add_func("/hint-property/encoded", test_encoded);
    g_test_add_func("/hint-property/fields", test_fields);
    return g_test_run();
}
