/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint/json.c: every kind of field, decoded by the BTF that the compiler made. */
#include "hint/json.h"
#include "hint/encode.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "lib/objects.h"

/* As objects/rich.bpf.c has it. */
enum colour { RED = 0, GREEN = 7, BLUE = -1 };
struct inner {
    int16_t x;
    char tag[4];
};
struct rich {
    struct vh_hint h;
    uint32_t key;
    int32_t negative;
    enum colour colour;
    uint32_t alias;
    _Bool yes;
    unsigned char bytes[3];
    char name[16];
    struct inner inner;
    struct inner many[2];
    unsigned int low : 3;
    int high : 5;
    union {
        uint32_t either;
        uint16_t or_else;
    };
    void *pointer;
    uint64_t mask[8];
    int64_t big;
};

static struct rich sample(void)
{
    return (struct rich){
        .h = {.size = sizeof(struct rich), .kind = 1, .key_size = 4, .cpu = 3, .ktime = 99},
        .key = 4000000000u,
        .negative = -5,
        .colour = GREEN,
        .alias = 6,
        .yes = true,
        .bytes = {1, 2, 255},
        .name = "a\"b\\c\n\x01",
        .inner = {-2, "abcd"},
        .many = {{1, "x"}, {2, ""}},
        .low = 5,
        .high = -3,
        .either = 0x10002,
        .pointer = (void *)0xffff888000000000,
        .mask = {1, 0, 0, 0, 0, 0, 0, UINT64_MAX},
        .big = INT64_MIN,
    };
}

static char *json_of(const struct vh_kind *kind, const void *record, gint64 seq)
{
    GString *out = g_string_new(NULL);

    vh_hint_json(out, "web", "rich", kind, record, seq);
    return g_string_free(out, FALSE);
}

static void test_all_fields(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_kind *kind = vh_object_kind(object, 1);
    struct rich rich = sample();
    g_autofree char *json = NULL;

    g_assert_cmpuint(kind->size, ==, sizeof(rich));
    json = json_of(kind, &rich, 12);
    g_assert_cmpstr(
        json, ==,
        "{\"guest\":\"web\",\"program\":\"rich\",\"kind\":\"rich\",\"gone\":false,\"key\":4,"
        "\"cpu\":3,\"ktime\":"
        "99,"
        "\"seq\":12,\"fields\":{\"key\":4000000000,\"negative\":-5,\"colour\":\"GREEN\",\"alias\":"
        "6,"
        "\"yes\":true,\"bytes\":[1,2,255],\"name\":\"a\\\"b\\\\c\\n\\u0001\",\"inner\":{\"x\":-2,"
        "\"tag\":"
        "\"abcd\"},\"many\":[{\"x\":1,\"tag\":\"x\"},{\"x\":2,\"tag\":\"\"}],\"low\":5,\"high\":-3,"
        "\"either\":65538,\"or_else\":2,\"pointer\":\"0xffff888000000000\",\"mask\":[1,0,0,0,0,0,0,"
        "18446744073709551615],\"big\":-9223372036854775808}}");
}

static void test_enums_and_text(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_kind *kind = vh_object_kind(object, 1);
    struct rich rich = sample();
    g_autofree char *json = NULL;
    g_autofree char *other = NULL;

    rich.colour = BLUE;
    memcpy(rich.name, "\xff\xfe", 3);
    json = json_of(kind, &rich, -1);
    g_assert_nonnull(strstr(json, "\"colour\":\"BLUE\""));
    g_assert_nonnull(strstr(json, "\"name\":\"\xef\xbf\xbd\xef\xbf\xbd\""));
    g_assert_null(strstr(json, "\"seq\""));
    rich.colour = (enum colour)5;
    other = json_of(kind, &rich, -1);
    g_assert_nonnull(strstr(other, "\"colour\":5"));
}

/* Of what is gone only the key means anything. */
static void test_gone(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    struct rich rich = sample();
    g_autofree char *json = NULL;

    rich.h.flags = VH_HINT_GONE;
    json = json_of(vh_object_kind(object, 1), &rich, -1);
    g_assert_nonnull(strstr(json, "\"gone\":true"));
    g_assert_nonnull(strstr(json, "\"fields\":{\"key\":4000000000}}"));
}

static JsonObject *fields_of(const char *json, JsonNode **root)
{
    g_autoptr(GError) error = NULL;

    *root = json_from_string(json, &error);
    g_assert_no_error(error);
    return json_node_get_object(*root);
}

/* What is decoded can be encoded again: the same record, and the same words for it. */
static void test_encode(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_kind *kind = vh_object_kind(object, 1);
    struct rich rich = sample();

    for (int round = 0; round < 2; round++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) root = NULL;
        g_autofree char *json = json_of(kind, &rich, -1);
        JsonObject *all = fields_of(json, &root);
        g_autofree uint8_t *record =
            vh_hint_encode(kind, &(struct vh_encoded){.gone = round == 1, .key_size = 4, .cpu = 3},
                           json_object_get_object_member(all, "fields"), &error);

        g_assert_no_error(error);
        memset(record + offsetof(struct vh_hint, ktime), 0, sizeof(rich.h.ktime));
        ((struct vh_hint *)record)->ktime = rich.h.ktime;
        g_autofree char *again = json_of(kind, record, -1);
        g_assert_cmpstr(again, ==, json);
        if (round == 0)
            g_assert_cmpmem(record, sizeof(rich), &rich, sizeof(rich));
        rich.h.flags = VH_HINT_GONE;
        rich.colour = BLUE;
    }
}

static void test_encode_refused(void)
{
    static const struct {
        const char *fields, *message;
    } rows[] = {
        {"{\"nothing\":1}", "field \"nothing\" is not a field of its kind"},
        {"{\"inner\":{\"z\":1}}", "field \"z\" is not a field of its kind"},
        {"{\"colour\":\"PINK\"}", "field \"colour\" names no constant of its enum"},
        {"{\"inner\":{\"x\":70000}}", "field \"x\" is too large a number for it"},
        {"{\"high\":99}", "field \"high\" is too large a number for it"},
        {"{\"key\":\"four\"}", "field \"key\" is no whole number"},
        {"{\"key\":1.5}", "field \"key\" is no whole number"},
        {"{\"mask\":[0,0,0,0,0,0,0,0,1]}", "field \"mask\" has too many elements"},
        {"{\"mask\":7}", "field \"mask\" is no array"},
        {"{\"mask\":\"seven\"}", "field \"mask\" is no text"},
        {"{\"inner\":7}", "field \"inner\" is no object"},
        {"{\"pointer\":\"7\"}", "field \"pointer\" is not written as \"0x...\""},
        {"{\"pointer\":\"0x12345678901234567\"}",
         "field \"pointer\" is too long, or no hexadecimal number"},
        {"{\"pointer\":null}", "field \"pointer\" is not written as \"0x...\""},
        {"{\"big\":null}", "field \"big\" is no whole number"},
    };
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_kind *kind = vh_object_kind(object, 1);
    g_autoptr(JsonNode) empty = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) root = NULL;

        g_test_message("%s", rows[i].fields);
        g_assert_null(vh_hint_encode(kind, &(struct vh_encoded){.key_size = 4},
                                     fields_of(rows[i].fields, &root), &error));
        g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
        g_assert_cmpstr(error->message, ==, rows[i].message);
    }
    g_autoptr(GError) error = NULL;
    g_assert_null(vh_hint_encode(kind, &(struct vh_encoded){.key_size = 4000},
                                 fields_of("{}", &empty), &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
}

static void test_fits(void)
{
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_kind *kind = vh_object_kind(object, 1);
    struct vh_hint hint = {.size = sizeof(struct rich), .kind = 1, .key_size = 4};

    g_assert_true(vh_hint_fits(kind, &hint));
    hint.size--;
    g_assert_false(vh_hint_fits(kind, &hint));
    hint.flags = VH_HINT_GONE;
    hint.size = sizeof(hint) + 4;
    g_assert_true(vh_hint_fits(kind, &hint));
    hint.size = sizeof(struct rich) + 8;
    g_assert_false(vh_hint_fits(kind, &hint));
    hint = (struct vh_hint){.size = sizeof(struct rich), .key_size = sizeof(struct rich)};
    g_assert_false(vh_hint_fits(kind, &hint));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hint/all-fields", test_all_fields);
    g_test_add_func("/hint/enums-and-text", test_enums_and_text);
    g_test_add_func("/hint/gone", test_gone);
    g_test_add_func("/hint/fits", test_fits);
    g_test_add_func("/hint/encode", test_encode);
    g_test_add_func("/hint/encode-refused", test_encode_refused);
    return g_test_run();
}
