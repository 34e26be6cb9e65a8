/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/hint.c: every kind of field, decoded by the BTF that the compiler made. */
#include "hint.h"

#include <errno.h>
#include <string.h>

#include "objects.h"

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
        "{\"guest\":\"web\",\"program\":\"rich\",\"kind\":\"rich\",\"gone\":false,\"cpu\":3,\"ktime\":99,"
        "\"seq\":12,\"fields\":{\"key\":4000000000,\"negative\":-5,\"colour\":\"GREEN\",\"alias\":6,"
        "\"yes\":true,\"bytes\":[1,2,255],\"name\":\"a\\\"b\\\\c\\n\\u0001\",\"inner\":{\"x\":-2,\"tag\":"
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
    return g_test_run();
}
