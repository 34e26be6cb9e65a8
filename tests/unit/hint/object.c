/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/object.c and hint/btf.c: good objects are read, and every bad one is refused with a
 * reason. */
#include "hint/object.h"

#include <bpf/libbpf.h>
#include <elf.h>
#include <string.h>

#include "base/error.h"
#include "hint/btf.h"
#include "hint/field.h"
#include "hint/json.h"
#include "lib/objects.h"

static void test_manifest(void)
{
    g_autoptr(VhObject) object = test_object("rich");

    g_assert_cmpstr(object->name, ==, "rich");
    g_assert_cmpstr(object->version, ==, "1.2");
    g_assert_cmpuint(object->kind_count, ==, 2);
    g_assert_nonnull(vh_object_kind(object, 1));
    g_assert_cmpstr(vh_object_kind(object, 2)->name, ==, "affinity");
    g_assert_cmpuint(vh_object_kind(object, 2)->size, ==, sizeof(struct vh_hint) + 16 + 64 + 16);
    g_assert_null(vh_object_kind(object, 3));
    g_assert_cmpuint(strlen(object->digest_hex), ==, 64);
}

static void test_without_manifest(void)
{
    g_autoptr(GBytes) bytes = test_object_bytes("plain");
    g_autoptr(GError) error = NULL;
    g_autoptr(VhObject) object = test_object("plain");

    g_assert_cmpstr(object->name, ==, "fallback");
    g_assert_cmpstr(object->version, ==, "");
    g_assert_cmpuint(object->kind_count, ==, 0);
    g_assert_null(vh_object_read(bytes, "", &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_clear_error(&error);
    g_assert_null(vh_object_read(bytes, "no/name", &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
}

/* Refused, and the message says `reason`. */
static void assert_refused(GBytes *bytes, const char *reason)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_object_read(bytes, "x", &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_OBJECT);
    if (!strstr(error->message, reason))
        g_error("\"%s\" does not say \"%s\"", error->message, reason);
}

static void test_bad_manifests(void)
{
    static const struct {
        const char *object;
        const char *reason;
    } cases[] = {
        {"unknown-line", "\"what is this\" is unknown"},
        {"unknown-kind", "a struct missing"},
        {"headless", "does not begin with struct vh_hint"},
        {"twice", "kind 1 is declared twice"},
        {"bad-number", "not a number from 1"},
        {"bad-name", "a name has 1 to"},
        {"nameless", "does not name the program"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GBytes) bytes = test_object_bytes(cases[i].object);

        assert_refused(bytes, cases[i].reason);
    }
}

static void test_not_an_object(void)
{
    g_autoptr(GBytes) text = g_bytes_new_static("#!/bin/sh\n", 10);
    g_autoptr(GBytes) empty = g_bytes_new_static("", 0);
    g_autofree char *own = NULL;
    gsize size = 0;
    g_autoptr(GBytes) native = NULL;
    g_autoptr(GBytes) large = g_bytes_new_take(g_malloc0(VH_OBJECT_MAX + 1), VH_OBJECT_MAX + 1);

    g_assert_true(g_file_get_contents("/proc/self/exe", &own, &size, NULL));
    native = g_bytes_new_static(own, size);
    assert_refused(text, "it is no ELF file");
    assert_refused(empty, "it is no ELF file");
    assert_refused(native, "not a BPF object");
    assert_refused(large, "the limit is 16777216");
}

/* Every length that an object can be cut off at. */
static void test_truncated(void)
{
    g_autoptr(GBytes) bytes = test_object_bytes("rich");
    gsize size = g_bytes_get_size(bytes);

    for (gsize len = 0; len < size; len += 7) {
        g_autoptr(GBytes) cut = g_bytes_new_from_bytes(bytes, 0, len);
        g_autoptr(GError) error = NULL;

        g_assert_null(vh_object_read(cut, "x", &error));
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_OBJECT);
    }
}

/* Any bytes changed: it is read, or refused with an error; nothing else. Fixed seed, so that a
 * failure repeats. */
static void test_damaged(void)
{
    g_autoptr(GBytes) bytes = test_object_bytes("rich");
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    for (guint round = 0; round < 4000; round++) {
        guint8 *copy = g_memdup2(data, size);
        g_autoptr(GBytes) damaged = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(VhObject) object = NULL;

        for (int i = 0; i < 4; i++)
            copy[g_rand_int_range(random, 0, (gint32)size)] =
                (guint8)g_rand_int_range(random, 0, 256);
        damaged = g_bytes_new_take(copy, size);
        object = vh_object_read(damaged, "x", &error);
        g_assert_true((object == NULL) == (error != NULL));
    }
}

/* ---- BTF that no compiler makes ---- */

static struct btf *new_btf(int *number)
{
    struct btf *btf = btf__new_empty();

    *number = btf__add_int(btf, "unsigned int", 4, 0);
    g_assert_cmpint(*number, >, 0);
    return btf;
}

static void assert_bad(struct btf *btf, int id, const char *reason)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(vh_btf_check(btf, (uint32_t)id, &error), ==, -1);
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_OBJECT);
    if (!strstr(error->message, reason))
        g_error("\"%s\" does not say \"%s\"", error->message, reason);
    btf__free(btf);
}

static void test_btf_outside(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int id = btf__add_struct(btf, "s", 4);

    btf__add_field(btf, "beyond", number, 32, 0);
    assert_bad(btf, id, "\"s.beyond\" lies outside");
    btf = new_btf(&number);
    id = btf__add_struct(btf, "s", 8);
    btf__add_field(btf, "crooked", number, 0, 0);
    /* libbpf does not make such a thing. */
    ((struct btf_member *)(void *)btf_members(btf__type_by_id(btf, (uint32_t)id)))->offset = 3;
    assert_bad(btf, id, "lies outside");
    btf = new_btf(&number);
    id = btf__add_struct(btf, "s", 4);
    btf__add_field(btf, "wide", number, 30, 8);
    assert_bad(btf, id, "lies outside");
}

static void test_btf_missing(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int id = btf__add_struct(btf, "s", 4);

    btf__add_field(btf, "nowhere", 1000, 0, 0);
    assert_bad(btf, id, "not there");
}

static void test_btf_cycles(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int first = btf__add_typedef(btf, "a", 3);
    int id = 0;

    btf__add_typedef(btf, "b", first);
    id = btf__add_struct(btf, "s", 8);
    btf__add_field(btf, "loop", first, 0, 0);
    assert_bad(btf, id, "refers to a type that is not there, or to itself");
    btf = new_btf(&number);
    id = btf__add_struct(btf, "s", 8);
    btf__add_field(btf, "myself", id, 0, 0);
    assert_bad(btf, id, "contains itself");
}

static void test_btf_arrays(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int nothing = btf__add_struct(btf, "nothing", 0);
    int array = btf__add_array(btf, number, nothing, 0x7fffffff);
    int id = btf__add_struct(btf, "s", 8);

    btf__add_field(btf, "endless", array, 0, 0);
    assert_bad(btf, id, "elements without a size");
    btf = new_btf(&number);
    array = btf__add_array(btf, number, number, 0x40000001);
    id = btf__add_struct(btf, "s", 8);
    btf__add_field(btf, "wraps", array, 0, 0);
    assert_bad(btf, id, "larger than any hint");
}

/* Structs without a size, nested wide: they would be decoded for ever. */
static void test_btf_explosion(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int id = btf__add_struct(btf, "leaf", 0);

    for (int level = 0; level < 8; level++) {
        int outer = btf__add_struct(btf, "level", 0);

        for (int i = 0; i < 64; i++)
            btf__add_field(btf, "m", id, 0, 0);
        id = outer;
    }
    assert_bad(btf, id, "too many values");
}

static struct btf_type *writable(struct btf *btf, int id)
{
    return (struct btf_type *)(void *)btf__type_by_id(btf, (uint32_t)id);
}

/* Any type that a walk meets has a name that may be anywhere: also those that are only passed
 * through. */
static void test_btf_names(void)
{
    for (int which = 0; which < 6; which++) {
        int number = 0;
        struct btf *btf = new_btf(&number);
        int character = btf__add_int(btf, "char", 1, BTF_INT_CHAR);
        int plain = btf__add_int(btf, "unsigned char", 1, 0);
        int inner = btf__add_struct(btf, "inner", 4);
        int alias = 0;
        int ids[6];
        int id = 0;

        btf__add_field(btf, "a", number, 0, 0);
        alias = btf__add_typedef(btf, "alias", inner);
        id = btf__add_struct(btf, "s", 32);
        btf__add_field(btf, "number", number, 0, 0);
        btf__add_field(btf, "inner", alias, 32, 0);
        btf__add_field(btf, "text", 0, 64, 0); /* an array, once there is one */
        btf__add_field(btf, "bytes", 0, 128, 0);
        ((struct btf_member *)(void *)btf_members(writable(btf, id)))[2].type =
            (uint32_t)btf__add_array(btf, number, character, 8);
        ((struct btf_member *)(void *)btf_members(writable(btf, id)))[3].type =
            (uint32_t)btf__add_array(btf, number, plain, 8);
        memcpy(ids, (int[]){number, character, plain, inner, alias, id}, sizeof(ids));
        g_assert_cmpint(vh_btf_check(btf, (uint32_t)id, NULL), ==, 32);
        writable(btf, ids[which])->name_off = 0x7ffffff0;
        assert_bad(btf, id, "string table");
    }
}

/* A kind made by hand, of a struct that was checked. */
static struct vh_kind kind_of(const struct btf *btf, int id)
{
    g_autoptr(GError) error = NULL;
    int size = vh_btf_check(btf, (uint32_t)id, &error);

    g_assert_no_error(error);
    return (struct vh_kind){
        .number = 1, .name = "s", .size = (uint32_t)size, .type = (uint32_t)id, .btf = btf};
}

/* The fields of a record whose words after the header are 0, 1, 2... */
static void assert_decodes(const struct vh_kind *kind, const char *fields)
{
    g_autofree uint8_t *record = g_malloc0(kind->size);
    g_autofree char *expected = g_strdup_printf("\"fields\":{%s}}", fields);
    struct vh_hint hint = {.size = (uint16_t)kind->size, .kind = 1};
    g_autoptr(GString) line = g_string_new(NULL);
    struct vh_kind shown = *kind;

    memcpy(record, &hint, sizeof(hint));
    for (uint32_t i = 0; i < (kind->size - sizeof(hint)) / 4; i++)
        memcpy(record + sizeof(hint) + i * 4, &i, sizeof(i));
    vh_hint_json(line, "g", "p", &shown, record, -1);
    if (!g_str_has_suffix(line->str, expected))
        g_error("%s is not %s", line->str, expected);
}

/* Where a path leads is ours to say: libbpf gives up on long rows of typedefs, and takes the size
 * of a pointer from what the object calls "long". */
static void test_btf_places(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int array = number;
    int header = 0;
    int id = 0;
    struct vh_fieldref ref;
    struct vh_kind kind;

    for (int level = 0; level < 4; level++) {
        for (int i = 0; i < 14; i++)
            array = btf__add_typedef(btf, "t", array);
        array = btf__add_array(btf, number, array, 2);
    }
    header = btf__add_struct(btf, "vh_hint", 24);
    id = btf__add_struct(btf, "s", 24 + 64);
    btf__add_field(btf, "h", header, 0, 0);
    btf__add_field(btf, "deep", array, 24 * 8, 0);
    kind = kind_of(btf, id);
    g_assert_cmpint(vh_fieldref_find(&kind, "deep[1][1][1][1]", &ref, NULL), ==, 0);
    g_assert_cmpuint(ref.bit, ==, (24 + 60) * 8);
    g_assert_cmpuint(vh_btf_size(btf, (uint32_t)array), ==, 64);
    assert_decodes(&kind,
                   "\"deep\":[[[[0,1],[2,3]],[[4,5],[6,7]]],[[[8,9],[10,11]],[[12,13],[14,15]]]]");
    btf__free(btf);

    btf = btf__new_empty();
    number = btf__add_int(btf, "long int", 4, BTF_INT_SIGNED);
    array = btf__add_array(btf, number, btf__add_ptr(btf, number), 2);
    header = btf__add_struct(btf, "vh_hint", 24);
    id = btf__add_struct(btf, "s", 24 + 16);
    btf__add_field(btf, "h", header, 0, 0);
    btf__add_field(btf, "pointers", array, 24 * 8, 0);
    kind = kind_of(btf, id);
    g_assert_cmpint(vh_fieldref_find(&kind, "pointers[1]", &ref, NULL), ==, 0);
    g_assert_cmpuint(ref.bit, ==, (24 + 8) * 8);
    assert_decodes(&kind, "\"pointers\":[\"0x100000000\",\"0x300000002\"]");
    btf__free(btf);
}

/* A section table that does not begin at an even byte: it is read all the same. */
static void test_odd_offsets(void)
{
    g_autoptr(GBytes) bytes = test_object_bytes("rich");
    g_autoptr(GBytes) odd = NULL;
    g_autoptr(VhObject) object = NULL;
    g_autoptr(GError) error = NULL;
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    Elf64_Ehdr header;
    GByteArray *made = g_byte_array_new();

    memcpy(&header, data, sizeof(header));
    g_byte_array_append(made, data, (guint)size);
    g_byte_array_append(made, (const guint8 *)"padding", 8 - size % 2 - 1 + size % 2 * 2);
    if (made->len % 2 == 0)
        g_byte_array_append(made, (const guint8 *)"", 1);
    for (guint i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;

        memcpy(&section, data + header.e_shoff + i * sizeof(section), sizeof(section));
        if (section.sh_type == SHT_PROGBITS && section.sh_size > 0) {
            guint at = made->len;

            g_byte_array_append(made, data + section.sh_offset, (guint)section.sh_size);
            section.sh_offset = at;
            memcpy(made->data + header.e_shoff + i * sizeof(section), &section, sizeof(section));
        }
        if (made->len % 2 == 0)
            g_byte_array_append(made, (const guint8 *)"", 1);
    }
    size = made->len;
    g_byte_array_append(made, made->data + header.e_shoff,
                        header.e_shnum * (guint)sizeof(Elf64_Shdr));
    header.e_shoff = size;
    memcpy(made->data, &header, sizeof(header));
    odd = g_byte_array_free_to_bytes(made);
    object = vh_object_read(odd, "x", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(object->name, ==, "rich");
    g_assert_cmpuint(object->kind_count, ==, 2);
}

static void test_btf_sizes(void)
{
    int number = 0;
    struct btf *btf = new_btf(&number);
    int id = btf__add_struct(btf, "s", VH_HINT_MAX + 1);

    btf__add_field(btf, "a", number, 0, 0);
    assert_bad(btf, id, "larger than any hint");
    btf = new_btf(&number);
    id = btf__add_struct(btf, "s", VH_HINT_MAX);
    btf__add_field(btf, "a", number, 0, 0);
    g_assert_cmpint(vh_btf_check(btf, (uint32_t)id, NULL), ==, VH_HINT_MAX);
    btf__free(btf);
}

int main(int argc, char **argv)
{
    libbpf_set_print(NULL);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/object/manifest", test_manifest);
    g_test_add_func("/object/without-manifest", test_without_manifest);
    g_test_add_func("/object/bad-manifests", test_bad_manifests);
    g_test_add_func("/object/not-an-object", test_not_an_object);
    g_test_add_func("/object/truncated", test_truncated);
    g_test_add_func("/object/damaged", test_damaged);
    g_test_add_func("/object/btf/outside", test_btf_outside);
    g_test_add_func("/object/btf/missing", test_btf_missing);
    g_test_add_func("/object/btf/cycles", test_btf_cycles);
    g_test_add_func("/object/btf/arrays", test_btf_arrays);
    g_test_add_func("/object/btf/explosion", test_btf_explosion);
    g_test_add_func("/object/odd-offsets", test_odd_offsets);
    g_test_add_func("/object/btf/names", test_btf_names);
    g_test_add_func("/object/btf/places", test_btf_places);
    g_test_add_func("/object/btf/sizes", test_btf_sizes);
    return g_test_run();
}
