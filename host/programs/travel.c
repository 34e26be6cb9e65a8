// SPDX-License-Identifier: GPL-2.0-or-later
// Packs and unpacks what goes with a guest that migrates.
#include "programs/travel.h"

#include <gio/gio.h>

#include "base/error.h"
#include "hint/tunables.h"

#define TYPE "(sba(sayay))"

static void program_free(gpointer data)
{
    struct vh_travel_program *program = data;

    vh_object_unref(program->object);
    g_bytes_unref(program->tunables);
    g_free(program);
}

struct vh_travel *vh_travel_new(const char *host)
{
    struct vh_travel *travel = g_new0(struct vh_travel, 1);

    travel->host = g_strdup(host);
    travel->programs = g_ptr_array_new_with_free_func(program_free);
    return travel;
}

void vh_travel_free(struct vh_travel *travel)
{
    if (!travel)
        return;
    g_free(travel->host);
    g_ptr_array_unref(travel->programs);
    g_free(travel);
}

void vh_travel_add(struct vh_travel *travel, VhObject *object, GBytes *tunables)
{
    struct vh_travel_program *program = g_new0(struct vh_travel_program, 1);

    program->object = vh_object_ref(object);
    program->tunables = g_bytes_ref(tunables);
    g_ptr_array_add(travel->programs, program);
}

/* NULL: it is damaged, or comes to over `max` bytes. */
static GBytes *convert(GConverter *converter, GBytes *bytes, gsize max)
{
    g_autoptr(GInputStream) source = g_memory_input_stream_new_from_bytes(bytes);
    g_autoptr(GInputStream) stream = g_converter_input_stream_new(source, converter);
    g_autofree guint8 *out = g_malloc(max + 1);
    gsize len = 0;

    if (!g_input_stream_read_all(stream, out, max + 1, &len, NULL, NULL) || len > max)
        return NULL;
    return g_bytes_new(out, len);
}

static GVariant *bytes_variant(GBytes *bytes)
{
    return g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

char *vh_travel_write(const struct vh_travel *travel, GError **error)
{
    g_auto(GVariantBuilder) programs = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sayay)"));
    g_autoptr(GConverter) converter =
        G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, -1));
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GBytes) packed = NULL;
    gsize len = 0;

    for (guint i = 0; i < travel->programs->len; i++) {
        const struct vh_travel_program *program = g_ptr_array_index(travel->programs, i);

        g_variant_builder_add(&programs, "(s@ay@ay)", program->object->name,
                              bytes_variant(program->tunables),
                              bytes_variant(program->object->bytes));
    }
    value = g_variant_ref_sink(
        g_variant_new("(sba(sayay))", travel->host, (gboolean)travel->released, &programs));
    bytes = g_variant_get_data_as_bytes(value);
    if (g_bytes_get_size(bytes) <= VH_TRAVEL_MAX)
        packed = convert(converter, bytes, VH_TRAVEL_TEXT_MAX / 4 * 3 - 3);
    if (packed) {
        gconstpointer data = g_bytes_get_data(packed, &len);

        return g_base64_encode(data, len);
    }
    g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                "the injected programs have %zu KiB, and a guest can take along at most %u "
                "(packed, %u): inject them again where it migrates to",
                g_bytes_get_size(bytes) >> 10, VH_TRAVEL_MAX >> 10, VH_TRAVEL_TEXT_MAX >> 10);
    return NULL;
}

/* A copy, aligned as whoever reads an object expects. */
static GBytes *take_bytes(GVariant *value)
{
    return g_bytes_new(g_variant_get_data(value), g_variant_get_size(value));
}

static int read_programs(struct vh_travel *travel, GVariant *list, GError **error)
{
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) tunables = NULL;
        g_autoptr(GVariant) object = NULL;
        g_autoptr(GBytes) tunables_bytes = NULL;
        g_autoptr(GBytes) object_bytes = NULL;
        g_autoptr(VhObject) read = NULL;
        const char *name = NULL;

        g_variant_get_child(list, i, "(&s@ay@ay)", &name, &tunables, &object);
        tunables_bytes = take_bytes(tunables);
        object_bytes = take_bytes(object);
        if (i >= VH_PROGRAMS_MAX || !vh_tunables_good(tunables_bytes)) {
            g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                        "its program %zu is one too many, or has bad tunables", i);
            return -1;
        }
        read = vh_object_read(object_bytes, name, error);
        if (!read)
            return -1;
        vh_travel_add(travel, read, tunables_bytes);
    }
    return 0;
}

struct vh_travel *vh_travel_read(const char *text, const char *own, GError **error)
{
    g_autoptr(GConverter) converter =
        G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB));
    g_autoptr(VhTravel) travel = NULL;
    g_autoptr(GBytes) packed = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GVariant) value = NULL;
    g_autoptr(GVariant) programs = NULL;
    const char *host = NULL;
    gboolean released = FALSE;
    gsize len = 0;
    guchar *data = g_base64_decode(text, &len);

    packed = g_bytes_new_take(data, len);
    bytes = len ? convert(converter, packed, VH_TRAVEL_MAX) : NULL;
    value = bytes ? g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(TYPE), bytes, FALSE))
                  : NULL;
    if (!value || !g_variant_is_normal_form(value)) {
        g_set_error(error, VH_ERROR, VH_ERROR_INVALID_ARGUMENT,
                    "what the guest brings along is damaged");
        return NULL;
    }
    g_variant_get(value, "(&sb@a(sayay))", &host, &released, &programs);
    travel = vh_travel_new(host);
    travel->released = released;
    if (!g_str_equal(host, own) && read_programs(travel, programs, error) < 0) {
        g_prefix_error(error, "what the guest brings along: ");
        return NULL;
    }
    return g_steal_pointer(&travel);
}

char *vh_travel_host(const char *state_dir, GError **error)
{
    g_autofree char *path = g_build_filename(state_dir, "host", NULL);
    g_autofree char *text = NULL;
    g_autofree char *name = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL) && g_uuid_string_is_valid(g_strstrip(text)))
        return g_steal_pointer(&text);
    name = g_uuid_string_random();
    if (!g_file_set_contents(path, name, -1, error))
        return NULL;
    return g_steal_pointer(&name);
}
