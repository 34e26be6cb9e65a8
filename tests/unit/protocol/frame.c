/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protocol/frame.c: the document's vectors, every split, and finding the next frame after any
 * damage. */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "frame.h"

/* A decoder with its buffer, and what came out of it. */
typedef struct {
    struct vh_decoder decoder;
    uint8_t buffer[VH_DECODER_BUFFER];
    GPtrArray *payloads; /* GBytes, one per good frame */
    struct vh_frame last;
} Receiver;

static void receiver_init(Receiver *r)
{
    vh_decoder_init(&r->decoder, r->buffer);
    r->payloads = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
}

static void receiver_clear(Receiver *r)
{
    g_ptr_array_unref(r->payloads);
}

static void receive(Receiver *r, const uint8_t *bytes, size_t len)
{
    while (vh_decoder_feed(&r->decoder, &bytes, &len, &r->last))
        g_ptr_array_add(r->payloads, g_bytes_new(r->last.data, r->last.len));
    g_assert_cmpuint(len, ==, 0);
}

static GByteArray *encoded(enum vh_type type, uint8_t version, uint32_t id, const void *payload,
                           size_t len)
{
    GByteArray *out = g_byte_array_sized_new(VH_FRAME_ENCODED(len));
    struct iovec part = {.iov_base = (void *)payload, .iov_len = len};
    long size;

    g_byte_array_set_size(out, VH_FRAME_ENCODED(len));
    size = vh_frame_encode(out->data, out->len, type, version, id, &part, 1);
    g_assert_cmpint(size, >, 0);
    g_byte_array_set_size(out, (guint)size);
    return out;
}

static GByteArray *unhex(const char *hex)
{
    GByteArray *out = g_byte_array_new();

    for (; *hex; hex++) {
        if (g_ascii_isxdigit(hex[0])) {
            uint8_t byte =
                (uint8_t)(g_ascii_xdigit_value(hex[0]) * 16 + g_ascii_xdigit_value(hex[1]));

            g_byte_array_append(out, &byte, 1);
            hex++;
        }
    }
    return out;
}

/* Every "vector" block of PROTOCOL.md: type, version, id, payload, encoded; both directions. */
static void test_vectors(void)
{
    g_autofree char *doc = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GRegex) regex = g_regex_new("```vector\n"
                                          "type (\\d+) version (\\d+) id (\\d+)\n"
                                          "payload ?([0-9a-f \n]*)\n"
                                          "encoded ([0-9a-f \n]+)\n```",
                                          0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    guint seen = 0;

    g_assert_true(g_file_get_contents(VECTORS, &doc, NULL, &error));
    for (g_regex_match(regex, doc, 0, &match); g_match_info_matches(match);
         g_match_info_next(match, NULL)) {
        g_autofree char *type = g_match_info_fetch(match, 1);
        g_autofree char *version = g_match_info_fetch(match, 2);
        g_autofree char *id = g_match_info_fetch(match, 3);
        g_autofree char *payload_hex = g_match_info_fetch(match, 4);
        g_autofree char *encoded_hex = g_match_info_fetch(match, 5);
        g_autoptr(GByteArray) payload = unhex(payload_hex);
        g_autoptr(GByteArray) wire = unhex(encoded_hex);
        g_autoptr(GByteArray) ours = encoded((enum vh_type)atoi(type), (uint8_t)atoi(version),
                                             (uint32_t)atol(id), payload->data, payload->len);
        Receiver r;

        g_assert_cmpmem(ours->data, ours->len, wire->data, wire->len);
        receiver_init(&r);
        receive(&r, wire->data, wire->len);
        g_assert_cmpuint(r.payloads->len, ==, 1);
        g_assert_cmpuint(r.last.type, ==, (guint)atoi(type));
        g_assert_cmpuint(r.last.version, ==, (guint)atoi(version));
        g_assert_cmpuint(r.last.id, ==, (guint)atol(id));
        g_assert_cmpmem(r.last.data, r.last.len, payload->data, payload->len);
        receiver_clear(&r);
        seen++;
    }
    g_assert_cmpuint(seen, >=, 4);
}

static uint8_t nth(guint pattern, size_t i)
{
    if (pattern == 2)
        return (uint8_t)(i * 7 % 11 ? i : 0);
    return pattern == 0 ? 0 : 0xaa;
}

/* Every length around COBS's block borders, zeros or none, fed byte by byte and at once. */
static void test_round_trip(void)
{
    static const size_t lengths[] = {0,   1,   2,   241, 242, 243,  253,           254,
                                     255, 256, 495, 508, 509, 4096, VH_PAYLOAD_MAX};
    static uint8_t payload[VH_PAYLOAD_MAX];
    Receiver r;

    receiver_init(&r);
    for (guint pattern = 0; pattern < 3; pattern++) {
        for (size_t i = 0; i < sizeof(payload); i++)
            payload[i] = nth(pattern, i);
        for (guint l = 0; l < G_N_ELEMENTS(lengths); l++) {
            g_autoptr(GByteArray) wire = encoded(VH_CHUNK, 1, l, payload, lengths[l]);

            g_assert_cmpuint(wire->len, <=, VH_FRAME_ENCODED(lengths[l]));
            g_assert_true(memchr(wire->data, 0, wire->len) == wire->data + wire->len - 1);
            receive(&r, wire->data, wire->len);
            g_assert_cmpmem(r.last.data, r.last.len, payload, lengths[l]);
            for (guint i = 0; i < wire->len; i++)
                receive(&r, wire->data + i, 1);
            g_assert_cmpmem(r.last.data, r.last.len, payload, lengths[l]);
        }
    }
    g_assert_cmpuint(r.payloads->len, ==, 3 * 2 * G_N_ELEMENTS(lengths));
    g_assert_cmpuint(r.decoder.counters.bad, ==, 0);
    receiver_clear(&r);
}

/* A peer that dies after any byte: the next one, which opens with a zero, is understood at once. */
static void test_peer_dies_mid_frame(void)
{
    const char first[] = "the first peer's frame";
    const char second[] = "its successor's";
    g_autoptr(GByteArray) dying = encoded(VH_HINTS, 1, 0, first, sizeof(first));
    g_autoptr(GByteArray) next = encoded(VH_HELLO, 0, 0, second, sizeof(second));
    const uint8_t mark = 0;

    for (guint cut = 1; cut < dying->len - 1; cut++) {
        Receiver r;

        receiver_init(&r);
        receive(&r, dying->data, cut);
        receive(&r, &mark, 1);
        receive(&r, next->data, next->len);
        g_assert_cmpuint(r.payloads->len, ==, 1);
        g_assert_cmpmem(r.last.data, r.last.len, second, sizeof(second));
        g_assert_cmpuint(r.decoder.counters.bad, ==, 1);
        receiver_clear(&r);
    }
}

/* Any one damaged byte costs at most its own frame and the one it may be glued to. */
static void test_damage(void)
{
    const char payload[] = "0123456789abcdef0123456789abcdef";
    g_autoptr(GByteArray) one = encoded(VH_HINTS, 1, 7, payload, sizeof(payload));

    for (guint at = 0; at < one->len; at++) {
        for (guint flip = 1; flip < 256; flip <<= 1) {
            g_autoptr(GByteArray) damaged = g_byte_array_new();
            Receiver r;

            g_byte_array_append(damaged, one->data, one->len);
            damaged->data[at] ^= (uint8_t)flip;
            receiver_init(&r);
            receive(&r, damaged->data, damaged->len);
            receive(&r, one->data, one->len);
            receive(&r, one->data, one->len);
            g_assert_cmpuint(r.payloads->len, >=, 1);
            g_assert_cmpuint(r.payloads->len, <=, 2);
            g_assert_cmpuint(r.decoder.counters.bad, >=, 1);
            for (guint i = 0; i < r.payloads->len; i++) {
                gsize len;
                gconstpointer data = g_bytes_get_data(r.payloads->pdata[i], &len);

                g_assert_cmpmem(data, len, payload, sizeof(payload));
            }
            receiver_clear(&r);
        }
    }
}

static void test_oversize(void)
{
    g_autofree uint8_t *flood = g_malloc(4 * VH_DECODER_BUFFER);
    g_autoptr(GByteArray) good = encoded(VH_PING, 1, 0, "x", 1);
    const uint8_t mark = 0;
    Receiver r;

    memset(flood, 0x55, 4 * VH_DECODER_BUFFER);
    receiver_init(&r);
    receive(&r, flood, 4 * VH_DECODER_BUFFER);
    receive(&r, &mark, 1);
    receive(&r, good->data, good->len);
    g_assert_cmpuint(r.payloads->len, ==, 1);
    g_assert_cmpuint(r.decoder.counters.oversize, ==, 1);
    receiver_clear(&r);
}

static void test_refuses(void)
{
    static uint8_t out[VH_FRAME_ENCODED(16)];
    static uint8_t payload[VH_PAYLOAD_MAX + 1];
    struct iovec small = {.iov_base = payload, .iov_len = 17};
    struct iovec halves[] = {{.iov_base = payload, .iov_len = VH_PAYLOAD_MAX},
                             {.iov_base = payload, .iov_len = 1}};

    g_assert_cmpint(vh_frame_encode(out, sizeof(out), VH_PING, 1, 0, &small, 1), ==, -ENOBUFS);
    g_assert_cmpint(vh_frame_encode(out, sizeof(out), VH_PING, 1, 0, halves, 2), ==, -EMSGSIZE);
}

static void test_reset(void)
{
    g_autoptr(GByteArray) wire = encoded(VH_PING, 1, 0, "abc", 3);
    Receiver r;

    receiver_init(&r);
    receive(&r, wire->data, 4);
    vh_decoder_reset(&r.decoder);
    receive(&r, wire->data, wire->len);
    g_assert_cmpuint(r.payloads->len, ==, 1);
    g_assert_cmpuint(r.decoder.counters.bad, ==, 0);
    receiver_clear(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/frame/vectors", test_vectors);
    g_test_add_func("/frame/round-trip", test_round_trip);
    g_test_add_func("/frame/peer-dies-mid-frame", test_peer_dies_mid_frame);
    g_test_add_func("/frame/damage", test_damage);
    g_test_add_func("/frame/oversize", test_oversize);
    g_test_add_func("/frame/refuses", test_refuses);
    g_test_add_func("/frame/reset", test_reset);
    return g_test_run();
}
