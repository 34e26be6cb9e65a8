/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host makes of a stranger's object: its outline, manifest and BTF, then its hints and
 * their fields.
 *
 * The input is an object, or a section of BTF alone, which a fuzzer gets further with. Each struct
 * that vh_btf_check finds good is decoded from a record of any bytes, found by path, printed and
 * encoded again: all of it must stay within the record. */
#include <bpf/libbpf.h>
#include <json-glib/json-glib.h>
#include <stdlib.h>
#include <string.h>

#include "hint/btf.h"
#include "hint/encode.h"
#include "hint/field.h"
#include "hint/json.h"
#include "hint/object.h"

#define STRUCTS_MAX 32 /* of one section */
#define NAMES_MAX 12   /* that are tried as paths */

static void try_path(const struct vh_kind *kind, const char *path, const uint8_t *record)
{
    struct vh_fieldref ref;
    g_autoptr(GString) out = g_string_new(NULL);
    uint64_t words[8];
    uint64_t value = 0;
    g_autoptr(GError) error = NULL;

    if (vh_fieldref_find(kind, path, &ref, &error) < 0) {
        g_assert_nonnull(error);
        return;
    }
    g_assert_cmpuint((guint64)ref.bit + (guint64)ref.bits * ref.count, <=, (guint64)kind->size * 8);
    vh_fieldref_print(kind, &ref, record, out);
    if (ref.type == VH_FIELD_INTS || ref.type == VH_FIELD_INT)
        vh_fieldref_mask(&ref, record, words, G_N_ELEMENTS(words));
    if (ref.type == VH_FIELD_ENUM && vh_fieldref_constant(kind, &ref, out->str, &value, NULL) < 0)
        (void)vh_fieldref_constant(kind, &ref, "no such constant", &value, NULL);
}

/* Members' names, their elements and what is in them. */
static void try_paths(const struct vh_kind *kind, const struct btf_type *type, const char *prefix,
                      const uint8_t *record, int depth)
{
    for (uint32_t i = 0; i < btf_vlen(type) && i < NAMES_MAX; i++) {
        const struct btf_member *member = btf_members(type) + i;
        const char *name = btf__name_by_offset(kind->btf, member->name_off);
        const struct btf_type *inner = vh_btf_strip(kind->btf, member->type);
        g_autofree char *path = g_strconcat(prefix, name, NULL);
        g_autofree char *element = g_strconcat(path, "[1]", NULL);
        g_autofree char *within = g_strconcat(path, ".", NULL);
        g_autofree char *wrong = g_strconcat(path, "x", NULL);

        try_path(kind, path, record);
        try_path(kind, element, record);
        try_path(kind, wrong, record);
        if (depth < 2 && btf_is_composite(inner))
            try_paths(kind, inner, *name ? within : prefix, record, depth + 1);
    }
}

/* What was decoded can be encoded, unless it is too long for JSON's parser's taste. */
static void encode_again(const struct vh_kind *kind, const char *line)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    struct vh_encoded head = {.key_size = 4};
    JsonObject *object = NULL;

    if (!json_parser_load_from_data(parser, line, -1, NULL))
        return;
    object = json_node_get_object(json_parser_get_root(parser));
    g_free(vh_hint_encode(kind, &head, json_object_get_object_member(object, "fields"), NULL));
}

static void try_kind(const struct vh_kind *kind, const uint8_t *bytes, size_t len)
{
    g_autofree uint8_t *record = g_malloc0(kind->size);
    struct vh_hint hint = {.size = (uint16_t)kind->size, .kind = kind->number};
    g_autoptr(GString) line = g_string_new(NULL);

    memcpy(record, bytes, MIN(len, kind->size));
    memcpy(record, &hint, sizeof(hint));
    g_assert_true(vh_hint_fits(kind, &hint));
    vh_hint_json(line, "guest", "program", kind, record, 1);
    g_assert_true(g_utf8_validate(line->str, (gssize)line->len, NULL));
    encode_again(kind, line->str);
    hint.flags = VH_HINT_GONE;
    hint.key_size = (uint16_t)(len % (kind->size - sizeof(hint) + 1));
    hint.size = (uint16_t)(sizeof(hint) + hint.key_size);
    memcpy(record, &hint, sizeof(hint));
    g_string_truncate(line, 0);
    vh_hint_json(line, "guest", "program", kind, record, -1);
    try_paths(kind, btf__type_by_id(kind->btf, kind->type), "", record, 0);
}

static void try_btf(const uint8_t *bytes, size_t len)
{
    struct btf *btf = btf__new(bytes, (uint32_t)len);
    int left = STRUCTS_MAX;

    if (!btf)
        return;
    for (uint32_t id = 1; id < btf__type_cnt(btf) && left > 0; id++) {
        struct vh_kind kind = {.number = 1, .name = "kind", .type = id, .btf = btf};
        int size = 0;

        if (!btf_is_struct(btf__type_by_id(btf, id)))
            continue;
        left--;
        size = vh_btf_check(btf, id, NULL);
        kind.size = (uint32_t)size;
        if (size >= (int)sizeof(struct vh_hint))
            try_kind(&kind, bytes, len);
    }
    btf__free(btf);
}

static void try_object(const uint8_t *bytes, size_t len)
{
    g_autoptr(GBytes) copy = g_bytes_new(bytes, len);
    g_autoptr(GError) error = NULL;
    g_autoptr(VhObject) object = vh_object_read(copy, "fallback", &error);

    g_assert_true((object == NULL) == (error != NULL));
    for (guint i = 0; object && i < object->kind_count; i++)
        try_kind(&object->kinds[i], bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    libbpf_set_print(NULL);
    if (len >= 4 && memcmp(bytes, "\177ELF", 4) == 0)
        try_object(bytes, len);
    else
        try_btf(bytes, len);
    return 0;
}
