/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest brings along: a text that whoever may define domains can write.
 *
 * The input's first byte says whether the rest is that text, or what the text would unpack to,
 * which a fuzzer gets further with. */
#include "programs/travel.h"

#include <gio/gio.h>
#include <string.h>

#include "msg.h"

static char *pack(const uint8_t *bytes, size_t len)
{
    g_autoptr(GConverter) converter =
        G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 1));
    g_autoptr(GInputStream) source = g_memory_input_stream_new_from_data(bytes, (gssize)len, NULL);
    g_autoptr(GInputStream) stream = g_converter_input_stream_new(source, converter);
    gsize room = len + len / 100 + 100;
    g_autofree guint8 *out = g_malloc(room);
    gsize done = 0;

    g_assert(g_input_stream_read_all(stream, out, room, &done, NULL, NULL) && done < room);
    return g_base64_encode(out, done);
}

static void check(const struct vh_travel *travel)
{
    g_assert(travel->host && travel->programs->len <= VH_PROGRAMS_MAX);
    for (guint i = 0; i < travel->programs->len; i++) {
        const struct vh_travel_program *program = g_ptr_array_index(travel->programs, i);

        g_assert(vh_name_valid(program->object->name));
        g_assert(g_bytes_get_size(program->tunables) <= VH_TUNABLES_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(VhTravel) travel = NULL;
    g_autoptr(VhTravel) again = NULL;
    g_autofree char *written = NULL;

    if (!size)
        return 0;
    text = *data % 2 ? pack(data + 1, size - 1) : g_strndup((const char *)data + 1, size - 1);
    travel = vh_travel_read(text, "own", &error);
    g_assert(!travel == !!error);
    if (!travel)
        return 0;
    check(travel);
    written = vh_travel_write(travel, NULL);
    again = written ? vh_travel_read(written, "own", NULL) : NULL;
    g_assert(!written || (again && again->programs->len == travel->programs->len &&
                          again->released == travel->released));
    return 0;
}
