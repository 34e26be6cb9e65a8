/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/programs/travel.c: what goes with a guest arrives as it was, and nothing else is taken for
 * it. */
#include "programs/travel.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"
#include "lib/objects.h"
#include "lib/scratch.h"

static const char tunables[] = "limit=10\0name=xy";

static char *written(bool released, bool program)
{
    g_autoptr(VhTravel) travel = vh_travel_new("here");
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    travel->released = released;
    if (program) {
        g_autoptr(VhObject) object = test_object("rich");
        g_autoptr(VhObject) nameless = test_object("plain"); /* goes by the name it was given */
        g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
        g_autoptr(GBytes) some = g_bytes_new_static(tunables, sizeof(tunables));

        vh_travel_add(travel, object, some);
        vh_travel_add(travel, nameless, none);
    }
    text = vh_travel_write(travel, &error);
    g_assert_no_error(error);
    return text;
}

static void test_there(void)
{
    g_autofree char *text = written(true, true);
    g_autofree char *again = written(true, true);
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTravel) travel = vh_travel_read(text, "there", &error);
    g_autoptr(VhObject) object = test_object("rich");
    const struct vh_travel_program *program = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, again); /* so that what is the same is known to be */
    g_assert_cmpstr(travel->host, ==, "here");
    g_assert_true(travel->released);
    g_assert_cmpuint(travel->programs->len, ==, 2);
    program = g_ptr_array_index(travel->programs, 0);
    g_assert_cmpstr(program->object->digest_hex, ==, object->digest_hex);
    g_assert_cmpuint(program->object->kind_count, ==, object->kind_count);
    g_assert_cmpuint((gsize)g_bytes_get_data(program->object->bytes, NULL) % 8, ==,
                     0); /* its reader relies on that */
    g_assert_cmpmem(g_bytes_get_data(program->tunables, NULL), g_bytes_get_size(program->tunables),
                    tunables, sizeof(tunables));
    program = g_ptr_array_index(travel->programs, 1);
    g_assert_cmpstr(program->object->name, ==, "fallback");
    g_assert_cmpuint(g_bytes_get_size(program->tunables), ==, 0);
}

static void test_here(void)
{
    g_autofree char *text = written(true, true);
    g_autoptr(VhTravel) travel = vh_travel_read(text, "here", NULL);

    g_assert_true(travel->released);
    g_assert_cmpuint(travel->programs->len, ==, 0);
}

static void test_nothing(void)
{
    g_autofree char *text = written(false, false);
    g_autoptr(VhTravel) travel = vh_travel_read(text, "there", NULL);

    g_assert_false(travel->released);
    g_assert_cmpuint(travel->programs->len, ==, 0);
}

static void assert_refused(const char *text)
{
    GError *error = NULL;

    g_assert_null(vh_travel_read(text, "there", &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_clear_error(&error);
}

static void test_strangers(void)
{
    g_autofree char *text = written(true, true);
    gsize len = 0;
    g_autofree guchar *data = g_base64_decode(text, &len);

    assert_refused("");
    assert_refused("!");
    assert_refused("AAAA");
    for (gsize i = 0; i < len; i += 1 + len / 12) {
        g_autofree char *cut = g_base64_encode(data, i);
        g_autofree char *changed = NULL;
        g_autoptr(VhTravel) read = NULL;

        assert_refused(cut);
        data[i] ^= 0x55;
        changed = g_base64_encode(data, len);
        data[i] ^= 0x55;
        /* zlib's checksum finds it; whatever is taken must be in one piece. */
        read = vh_travel_read(changed, "there", NULL);
        g_assert_true(!read || read->programs->len == 2);
    }
}

/* A text that unpacks to far more than it is. */
static void test_bomb(void)
{
    g_autoptr(GConverter) converter =
        G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 9));
    gsize len = 8 * (gsize)VH_TRAVEL_MAX, done = 0, used = 0;
    g_autofree guint8 *zeros = g_malloc0(len);
    g_autofree guint8 *packed = g_malloc(len);
    g_autofree char *text = NULL;

    g_assert_cmpint(g_converter_convert(converter, zeros, len, packed, len,
                                        G_CONVERTER_INPUT_AT_END, &used, &done, NULL),
                    ==, G_CONVERTER_FINISHED);
    text = g_base64_encode(packed, done);
    g_assert_cmpuint(strlen(text), <, VH_TRAVEL_TEXT_MAX);
    assert_refused(text);
}

static void test_too_large(void)
{
    g_autoptr(VhTravel) travel = vh_travel_new("here");
    g_autoptr(VhObject) object = test_object("rich");
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    gsize len = VH_TRAVEL_TEXT_MAX;
    g_autofree char *text = g_malloc(len);
    g_autoptr(GBytes) bytes = NULL;
    GError *error = NULL;

    for (gsize i = 0; i < len; i++)
        text[i] = (char)g_rand_int(random);
    bytes = g_bytes_new(text, len);
    vh_travel_add(travel, object, bytes);
    g_assert_null(vh_travel_write(travel, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "inject them again"));
    g_error_free(error);
}

static void test_host(void)
{
    g_autofree char *directory = g_dir_make_tmp("vhint-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "host", NULL);
    g_autofree char *first = vh_travel_host(directory, NULL);
    g_autofree char *second = vh_travel_host(directory, NULL);
    g_autofree char *third = NULL;

    g_assert_true(g_uuid_string_is_valid(first));
    g_assert_cmpstr(first, ==, second);
    g_assert_true(g_file_set_contents(path, "", 0, NULL)); /* a full disk, once */
    third = vh_travel_host(directory, NULL);
    g_assert_true(g_uuid_string_is_valid(third));
    scratch_remove(g_steal_pointer(&directory));
    g_assert_null(vh_travel_host("/proc/nowhere", NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/travel/there", test_there);
    g_test_add_func("/travel/here", test_here);
    g_test_add_func("/travel/nothing", test_nothing);
    g_test_add_func("/travel/strangers", test_strangers);
    g_test_add_func("/travel/bomb", test_bomb);
    g_test_add_func("/travel/too-large", test_too_large);
    g_test_add_func("/travel/host", test_host);
    return g_test_run();
}
