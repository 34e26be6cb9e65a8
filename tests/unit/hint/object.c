/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/object.c and hint/btf.c: good objects are read, and every bad one is refused with a
 * reason. */
#include "hint/object.h"

#include <bpf/libbpf.h>
#include <string.h>

#include "base/error.h"
#include "hint/btf.h"
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
    g_test_add_func("/object/btf/sizes", test_btf_sizes);
    return g_test_run();
}
