/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protocol/frame.c and msg.c over random conversations: whatever is sent arrives, in order, however
 * the bytes are cut, and says the same once it was read and written again. */
#include <glib.h>
#include <string.h>

#include "msg.h"

#define STREAMS 300
#define MESSAGES 20 /* of one stream, at most */

struct message {
    enum vh_type type;
    uint8_t version;
    uint32_t id;
    GByteArray *payload;
};

static void message_free(gpointer data)
{
    struct message *message = data;

    g_byte_array_unref(message->payload);
    g_free(message);
}

static uint32_t up_to(uint32_t limit)
{
    return (uint32_t)g_test_rand_int_range(0, (gint32)limit + 1);
}

static uint32_t any(void)
{
    return (uint32_t)g_test_rand_int();
}

/* Often one that is 0, all or next to where a block of COBS ends. */
static uint32_t length(uint32_t limit)
{
    const uint32_t edges[] = {0, 1, limit, 241, 242, 243, 253, 254, 255, 508, 509};
    uint32_t edge = edges[up_to(G_N_ELEMENTS(edges) - 1)];

    return g_test_rand_bit() && edge <= limit ? edge : up_to(limit);
}

/* ---- what can be said ---- */

static void add(GByteArray *to, const void *bytes, size_t len)
{
    if (len)
        g_byte_array_append(to, bytes, (guint)len);
}

static void pad(GByteArray *to, guint multiple)
{
    static const uint8_t zeros[8];

    add(to, zeros, (multiple - to->len % multiple) % multiple);
}

/* Bytes with many zeros, with none, or of all kinds. */
static void add_bytes(GByteArray *to, uint32_t len)
{
    static const uint32_t lowest[] = {0, 1, 0};
    static const uint32_t highest[] = {1, 255, 255};
    uint32_t of = up_to(2);
    guint at = to->len;

    g_byte_array_set_size(to, at + len);
    for (uint32_t i = 0; i < len; i++)
        to->data[at + i] = (uint8_t)(lowest[of] + up_to(highest[of] - lowest[of]));
}

static void set_name(char name[VH_NAME_SIZE], uint32_t number)
{
    static const char letters[] = "aZ09_.-";
    uint32_t begin = (uint32_t)g_snprintf(name, VH_NAME_SIZE, "p%u", number);

    for (uint32_t len = begin + up_to(VH_NAME_SIZE - 1 - begin); begin < len; begin++)
        name[begin] = letters[up_to(sizeof(letters) - 2)];
}

static void set_bytes(uint8_t *bytes, size_t len)
{
    while (len--)
        *bytes++ = (uint8_t)any();
}

static void say_hello(GByteArray *to)
{
    struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                             .version_min = (uint16_t)(1 + up_to(3)),
                             .session = 1 + (uint64_t)any(),
                             .peer = any(),
                             .role = g_test_rand_bit() ? VH_ROLE_HOST : VH_ROLE_GUEST,
                             .credit = any()};

    hello.version_max = (uint16_t)(hello.version_min + up_to(3));
    set_bytes(hello.boot_id, sizeof(hello.boot_id));
    memset(hello.release, 'r', up_to(sizeof(hello.release) - 1));
    memset(hello.agent, 'a', up_to(sizeof(hello.agent) - 1));
    add(to, &hello, sizeof(hello));
}

static void say_load(GByteArray *to)
{
    struct vh_load load = {.size = 1 + up_to(VH_OBJECT_MAX - 1),
                           .flags = (uint16_t)up_to(VH_LOAD_REPLACE)};
    g_autoptr(GByteArray) tunables = g_byte_array_new();

    for (uint32_t left = up_to(8), room = VH_TUNABLES_MAX / 8; left; left--) {
        g_autofree char *value = g_strnfill(length(room - 16), 'v');
        g_autofree char *text = g_strdup_printf("name%u=%s", left, value);

        add(tunables, text, strlen(text) + 1);
    }
    set_name(load.name, 0);
    set_bytes(load.digest, VH_DIGEST_SIZE);
    load.tunables_len = tunables->len;
    add(to, &load, sizeof(load));
    add(to, tunables->data, tunables->len);
}

static void say_chunk(GByteArray *to)
{
    const struct vh_chunk chunk = {.offset = any()};

    add(to, &chunk, sizeof(chunk));
    add_bytes(to, 1 + length(VH_CHUNK_MAX - 1));
}

static void say_unload(GByteArray *to)
{
    struct vh_unload unload = {0};

    set_name(unload.name, 0);
    add(to, &unload, sizeof(unload));
}

static void say_cpus(GByteArray *to)
{
    const struct vh_cpus head = {.count = length(VH_CPUS_MAX)};
    uint32_t spare = VH_CPUS_MAX - head.count;
    uint32_t number = 0;

    add(to, &head, sizeof(head));
    for (uint32_t i = 0; i < head.count; i++, number++) {
        uint32_t skipped = up_to(MIN(spare, 2));
        struct vh_cpu cpu = {.cpu = number += skipped,
                             .apic_id = up_to(9) ? i * 3 : VH_APIC_UNKNOWN,
                             .flags = up_to(VH_CPU_ONLINE)};

        spare -= skipped;
        add(to, &cpu, sizeof(cpu));
    }
}

static void say_programs(GByteArray *to)
{
    const struct vh_programs head = {.count = up_to(VH_PROGRAMS_MAX)};

    add(to, &head, sizeof(head));
    for (uint32_t i = 0; i < head.count; i++) {
        struct vh_program program = {.id = i * 7 + 1 + up_to(6),
                                     .flags = up_to(VH_PROGRAM_HINTS | VH_PROGRAM_STATE),
                                     .attached = any(),
                                     .seq = any(),
                                     .lost = any()};

        set_name(program.name, i);
        set_bytes(program.digest, VH_DIGEST_SIZE);
        add(to, &program, sizeof(program));
    }
}

static void say_batch(GByteArray *to)
{
    struct vh_batch batch = {.program = 1 + up_to(99),
                             .seq = (uint64_t)any() << 20,
                             .lost = any(),
                             .flags = up_to(VH_SNAPSHOT_FIRST | VH_SNAPSHOT_LAST)};
    uint32_t wanted = length(300);

    add(to, &batch, sizeof(batch));
    for (; batch.count < wanted; batch.count++) {
        uint32_t more = length(up_to(9) ? 60 : VH_HINT_MAX - sizeof(struct vh_hint));
        struct vh_hint hint = {.size = (uint16_t)(sizeof(hint) + more),
                               .kind = (uint16_t)any(),
                               .key_size = (uint16_t)up_to(more),
                               .flags = (uint16_t)up_to(VH_HINT_GONE),
                               .cpu = any(),
                               .ktime = any()};

        if (to->len + sizeof(hint) + more + 8 > VH_PAYLOAD_MAX)
            break;
        add(to, &hint, sizeof(hint));
        add_bytes(to, more);
        pad(to, 8);
    }
    memcpy(to->data, &batch, sizeof(batch)); /* now that its count is known */
}

static void say_answer(GByteArray *to)
{
    const struct vh_answer answer = {.error = any(),
                                     .program = any(),
                                     .text_len = length(VH_TEXT_MAX),
                                     .log_len = length(VH_LOG_MAX),
                                     .flags = up_to(VH_ANSWER_LOG_CUT)};

    add(to, &answer, sizeof(answer));
    add_bytes(to, answer.text_len);
    add_bytes(to, answer.log_len);
}

static void say_trouble(GByteArray *to)
{
    const struct vh_trouble trouble = {.program = 1 + up_to(99), .text_len = length(VH_TEXT_MAX)};

    add(to, &trouble, sizeof(trouble));
    add_bytes(to, trouble.text_len);
}

static void say_8_bytes(GByteArray *to)
{
    add_bytes(to, 8);
}

static void say_16_bytes(GByteArray *to)
{
    add_bytes(to, 16);
}

static void say_nothing(G_GNUC_UNUSED GByteArray *to)
{
}

/* ---- what was understood, as it would be sent on; 0 or -errno ---- */

static int hear_hello(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_hello hello = {0};
    int err = vh_msg_hello(frame, &hello);

    add(to, &hello, sizeof(hello));
    return err;
}

static int hear_load(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_load load = {0};
    const char *tunables = NULL;
    int err = vh_msg_load(frame, &load, &tunables);

    add(to, &load, sizeof(load));
    add(to, tunables, load.tunables_len);
    return err;
}

static int hear_chunk(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_chunk chunk = {0};
    const uint8_t *data = NULL;
    uint32_t len = 0;
    int err = vh_msg_chunk(frame, &chunk, &data, &len);

    add(to, &chunk, sizeof(chunk));
    add(to, data, len);
    return err;
}

static int hear_cpus(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_cpu cpus[VH_CPUS_MAX];
    struct vh_cpus head = {0};
    int err = vh_msg_cpus(frame, cpus, &head.count);

    add(to, &head, sizeof(head));
    add(to, cpus, head.count * sizeof(cpus[0]));
    return err;
}

static int hear_programs(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_program programs[VH_PROGRAMS_MAX];
    struct vh_programs head = {0};
    int err = vh_msg_programs(frame, programs, &head.count);

    add(to, &head, sizeof(head));
    add(to, programs, head.count * sizeof(programs[0]));
    return err;
}

static int hear_batch(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_batch batch = {0};
    struct vh_records records = {0};
    struct vh_hint hint;
    const uint8_t *record = NULL;
    int err = vh_msg_batch(frame, &batch, &records);
    uint32_t count = 0;

    add(to, &batch, sizeof(batch));
    for (; (record = vh_records_next(&records, &hint)); count++) {
        g_assert_cmpuint((guintptr)record % 8, ==, 0);
        add(to, &hint, sizeof(hint));
        add(to, record + sizeof(hint), hint.size - sizeof(hint));
        pad(to, 8);
    }
    g_assert_cmpuint(count, ==, batch.count);
    return err;
}

static int hear_answer(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_answer answer = {0};
    const char *text = NULL;
    const char *log = NULL;
    int err = vh_msg_answer(frame, &answer, &text, &log);

    add(to, &answer, sizeof(answer));
    add(to, text, answer.text_len);
    add(to, log, answer.log_len);
    return err;
}

static int hear_trouble(const struct vh_frame *frame, GByteArray *to)
{
    struct vh_trouble trouble = {0};
    const char *text = NULL;
    int err = vh_msg_trouble(frame, &trouble, &text);

    add(to, &trouble, sizeof(trouble));
    add(to, text, trouble.text_len);
    return err;
}

#define HEAR(name) \
    static int hear_##name(const struct vh_frame *frame, GByteArray *to) \
    { \
        struct vh_##name name = {0}; \
        int err = vh_msg_##name(frame, &name); \
\
        add(to, &name, sizeof(name)); \
        return err; \
    }
HEAR(unload)
HEAR(resync)
HEAR(credit)
HEAR(ping)
HEAR(pong)

static int hear_nothing(const struct vh_frame *frame, GByteArray *to)
{
    add(to, frame->data, frame->len);
    return 0;
}

static const struct {
    enum vh_type type;
    void (*say)(GByteArray *to);
    int (*hear)(const struct vh_frame *frame, GByteArray *to);
} types[] = {
    {VH_HELLO, say_hello, hear_hello},       {VH_LOAD, say_load, hear_load},
    {VH_CHUNK, say_chunk, hear_chunk},       {VH_UNLOAD, say_unload, hear_unload},
    {VH_LIST, say_nothing, hear_nothing},    {VH_RESYNC, say_8_bytes, hear_resync},
    {VH_CREDIT, say_8_bytes, hear_credit},   {VH_PING, say_8_bytes, hear_ping},
    {VH_CPUS, say_cpus, hear_cpus},          {VH_PROGRAMS, say_programs, hear_programs},
    {VH_HINTS, say_batch, hear_batch},       {VH_SNAPSHOT, say_batch, hear_batch},
    {VH_ANSWER, say_answer, hear_answer},    {VH_PONG, say_16_bytes, hear_pong},
    {VH_TROUBLE, say_trouble, hear_trouble},
};

/* ---- streams ---- */

static struct message *some_message(void)
{
    struct message *message = g_new0(struct message, 1);
    guint which = up_to(G_N_ELEMENTS(types) - 1);

    message->type = types[which].type;
    message->version = (uint8_t)any();
    message->id = any();
    message->payload = g_byte_array_new();
    types[which].say(message->payload);
    return message;
}

/* Its payload in up to four parts, which a sender has in different places. */
static void encode(const struct message *message, GByteArray *wire)
{
    const GByteArray *payload = message->payload;
    g_autofree uint8_t *out = g_malloc(VH_FRAME_ENCODED(payload->len));
    struct iovec parts[4];
    guint at = 0;
    long size = 0;

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        bool is_last = i == G_N_ELEMENTS(parts) - 1;
        uint32_t len = is_last ? payload->len - at : up_to(payload->len - at);

        parts[i] = (struct iovec){.iov_base = payload->data + at, .iov_len = len};
        at += len;
    }
    size = vh_frame_encode(out, VH_FRAME_ENCODED(payload->len), message->type, message->version,
                           message->id, parts, G_N_ELEMENTS(parts));
    g_assert_cmpint(size, >, 0);
    g_assert_null(memchr(out, 0, (size_t)size - 1));
    g_assert_cmpuint(out[size - 1], ==, 0);
    add(wire, out, (size_t)size);
}

/* What a sender leaves that dies in the middle of a frame, or a line that has lost a byte; and the
 * zero with which the next one begins. */
static void encode_damaged(GByteArray *wire)
{
    struct message *message = some_message();
    g_autoptr(GByteArray) whole = g_byte_array_new();

    encode(message, whole);
    /* Its last two bytes may say nothing: the mark, and a block that is empty. */
    if (g_test_rand_bit())
        g_byte_array_set_size(whole, up_to(whole->len - 3));
    else
        g_byte_array_remove_index(whole, up_to(whole->len - 3));
    add(wire, whole->data, whole->len);
    add(wire, "", 1);
    message_free(message);
}

static void assert_heard(const struct message *message, const struct vh_frame *frame)
{
    g_autoptr(GByteArray) heard = g_byte_array_new();

    g_assert_cmpuint(frame->type, ==, message->type);
    g_assert_cmpuint(frame->version, ==, message->version);
    g_assert_cmpuint(frame->id, ==, message->id);
    g_assert_cmpmem(frame->data, frame->len, message->payload->data, message->payload->len);
    for (guint i = 0; i < G_N_ELEMENTS(types); i++)
        if (types[i].type == message->type)
            g_assert_cmpint(types[i].hear(frame, heard), ==, 0);
    g_assert_cmpmem(heard->data, heard->len, message->payload->data, message->payload->len);
}

/* Gives the bytes to a decoder in pieces, each in memory of its own. */
static void assert_arrive(const GPtrArray *messages, const GByteArray *wire)
{
    g_autofree uint8_t *buffer = g_malloc(VH_DECODER_BUFFER);
    uint32_t largest = 1 + length(5000);
    struct vh_decoder decoder;
    struct vh_frame frame;
    guint arrived = 0;

    vh_decoder_init(&decoder, buffer);
    for (guint at = 0; at < wire->len;) {
        uint32_t wanted = 1 + up_to(largest);
        size_t left = MIN(wanted, wire->len - at);
        g_autofree uint8_t *piece = g_memdup2(wire->data + at, left);
        const uint8_t *in = piece;

        at += (guint)left;
        while (vh_decoder_feed(&decoder, &in, &left, &frame)) {
            g_assert_cmpuint(arrived, <, messages->len);
            assert_heard(messages->pdata[arrived++], &frame);
        }
        g_assert_cmpuint(left, ==, 0);
    }
    g_assert_cmpuint(arrived, ==, messages->len);
    g_assert_cmpuint(decoder.counters.frames, ==, messages->len);
}

static void test_conversations(void)
{
    for (guint stream = 0; stream < STREAMS; stream++) {
        g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func(message_free);
        g_autoptr(GByteArray) wire = g_byte_array_new();

        for (uint32_t left = up_to(MESSAGES); left; left--) {
            if (up_to(7) == 0)
                encode_damaged(wire);
            g_ptr_array_add(messages, some_message());
            encode(messages->pdata[messages->len - 1], wire);
        }
        assert_arrive(messages, wire);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/msg-property/conversations", test_conversations);
    return g_test_run();
}
