/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/channel/session.c against a peer made of protocol/ alone: handshake, requests, gaps, credit,
 * and every kind of end.
 */
#include "channel/session.h"

#include <errno.h>
#include <string.h>

#define HOST 0x1111u
#define GUEST 0x2222u

/* The session under test, what it sent (as frames) and what it reported (as words). */
struct fixture {
    VhScratch *scratch;
    VhSession *session;
    gsize room;
    GByteArray *sent;      /* raw */
    GString *log;          /* reports, one word each */
    uint32_t credit;       /* granted so far */
    uint32_t last_id;      /* of the last request sent */
    struct vh_hello hello; /* the last HELLO sent */
    GByteArray *object;    /* of CHUNKs */
    bool calls_back;       /* send() breaks the rules */
    uint32_t resyncs;
    uint32_t pings;
    uint32_t asked;
    uint32_t answered;
    uint32_t begins; /* sessions that may */
};

static size_t on_room(gpointer data)
{
    return ((struct fixture *)data)->room;
}

static void on_send(const uint8_t *bytes, size_t len, gpointer data)
{
    struct fixture *f = data;

    g_assert_cmpuint(len, <=, f->room);
    f->room -= len;
    if (f->calls_back)
        vh_session_flush(f->session);
    g_byte_array_append(f->sent, bytes, (guint)len);
}

static bool may_begin(gpointer data)
{
    struct fixture *f = data;

    if (!f->begins)
        return false;
    f->begins--;
    return true;
}

static void on_up(const struct vh_hello *guest, gpointer data)
{
    g_string_append_printf(((struct fixture *)data)->log, "up(%s) ", guest->release);
}

static void on_down(const char *why, gpointer data)
{
    g_string_append(((struct fixture *)data)->log, *why ? "down " : "?");
}

static void on_cpus(const struct vh_cpu *cpus, uint32_t count, gpointer data)
{
    g_string_append_printf(((struct fixture *)data)->log, "cpus(%u,%u) ", count, cpus[0].apic_id);
}

static void on_programs(const struct vh_program *programs, uint32_t count, gpointer data)
{
    g_string_append_printf(((struct fixture *)data)->log, "programs(%u,%s) ", count,
                           count ? programs[0].name : "");
}

static void on_hints(const struct vh_batch *batch, struct vh_records records, gpointer data)
{
    struct vh_hint hint;
    uint32_t count = 0;

    while (vh_records_next(&records, &hint))
        count++;
    g_assert_cmpuint(count, ==, batch->count);
    g_string_append_printf(((struct fixture *)data)->log, "hints(%u) ", count);
}

static void on_snapshot(const struct vh_batch *batch, struct vh_records records, gpointer data)
{
    (void)records;
    g_string_append_printf(((struct fixture *)data)->log, "snapshot(%u) ", batch->flags);
}

static void on_trouble(uint32_t program, const char *text, gpointer data)
{
    g_string_append_printf(((struct fixture *)data)->log, "trouble(%u,%s) ", program, text);
}

static void on_asked(gpointer data)
{
    ((struct fixture *)data)->asked++;
}

static void on_answered(gpointer data)
{
    ((struct fixture *)data)->answered++;
}

static void on_complaint(const char *text, gpointer data)
{
    g_assert_cmpuint(strlen(text), >, 10);
    g_string_append(((struct fixture *)data)->log, "complaint ");
}

static const struct vh_session_funcs funcs = {.room = on_room,
                                              .send = on_send,
                                              .may_begin = may_begin,
                                              .up = on_up,
                                              .down = on_down,
                                              .cpus = on_cpus,
                                              .programs = on_programs,
                                              .hints = on_hints,
                                              .snapshot = on_snapshot,
                                              .trouble = on_trouble,
                                              .asked = on_asked,
                                              .answered = on_answered,
                                              .complaint = on_complaint};

static void set_up(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->room = 1 << 20;
    f->begins = G_MAXUINT32;
    f->sent = g_byte_array_new();
    f->object = g_byte_array_new();
    f->log = g_string_new(NULL);
    f->scratch = vh_scratch_new();
    f->session = vh_session_new(HOST, f->scratch, &funcs, f);
}

static void tear_down(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_session_free(f->session);
    vh_scratch_free(f->scratch);
    g_byte_array_unref(f->sent);
    g_byte_array_unref(f->object);
    g_string_free(f->log, TRUE);
}

/* What was reported since the last call. */
static void assert_log(struct fixture *f, const char *expected)
{
    g_assert_cmpstr(f->log->str, ==, expected);
    g_string_truncate(f->log, 0);
}

static void note_sent(struct fixture *f, const struct vh_frame *frame)
{
    struct vh_credit credit;
    struct vh_chunk chunk;
    const uint8_t *bytes = NULL;
    uint32_t len = 0;

    if (frame->type == VH_HELLO)
        g_assert_cmpint(vh_msg_hello(frame, &f->hello), ==, 0);
    else
        f->last_id = frame->id;
    if (frame->type == VH_CREDIT && vh_msg_credit(frame, &credit) == 0)
        f->credit += credit.bytes;
    if (frame->type == VH_RESYNC)
        f->resyncs++;
    f->pings += frame->type == VH_PING;
    if (frame->type != VH_CHUNK)
        return;
    g_assert_cmpint(vh_msg_chunk(frame, &chunk, &bytes, &len), ==, 0);
    g_assert_cmpuint(chunk.offset, ==, f->object->len);
    g_byte_array_append(f->object, bytes, len);
}

/* The types of all frames sent since the last call, as words. */
static void assert_sent(struct fixture *f, const char *expected)
{
    static uint8_t buffer[VH_DECODER_BUFFER] __attribute__((aligned(8)));
    struct vh_decoder decoder;
    struct vh_frame frame;
    const uint8_t *in = f->sent->data;
    size_t len = f->sent->len;
    g_autoptr(GString) got = g_string_new(NULL);

    vh_decoder_init(&decoder, buffer);
    while (vh_decoder_feed(&decoder, &in, &len, &frame) == 1) {
        note_sent(f, &frame);
        g_string_append_printf(got, "%s ", vh_type_name(frame.type));
    }
    g_assert_cmpuint(decoder.counters.bad, ==, 0);
    g_byte_array_set_size(f->sent, 0);
    g_assert_cmpstr(got->str, ==, expected);
}

static void say(struct fixture *f, enum vh_type type, uint32_t id, const void *a, size_t a_len,
                const void *b, size_t b_len)
{
    struct iovec parts[] = {{(void *)a, a_len}, {(void *)b, b_len}};
    g_autofree uint8_t *out = g_malloc(VH_FRAME_ENCODED(a_len + b_len));
    long len = vh_frame_encode(out, VH_FRAME_ENCODED(a_len + b_len), type, type == VH_HELLO ? 0 : 1,
                               id, parts, 2);

    g_assert_cmpint(len, >, 0);
    vh_session_receive(f->session, out, (size_t)len);
}

static void say_hello(struct fixture *f, uint64_t session, uint64_t peer)
{
    struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                             .version_min = 1,
                             .version_max = 1,
                             .session = session,
                             .peer = peer,
                             .role = VH_ROLE_GUEST,
                             .release = "6.1",
                             .agent = "test"};

    say(f, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
}

static void say_cpus(struct fixture *f)
{
    struct vh_cpus head = {.count = 1};
    struct vh_cpu cpu = {.cpu = 0, .apic_id = 5, .flags = VH_CPU_ONLINE};

    say(f, VH_CPUS, 0, &head, sizeof(head), &cpu, sizeof(cpu));
}

static void say_programs(struct fixture *f, uint32_t id, uint64_t seq, uint64_t lost)
{
    struct vh_programs head = {.count = 1};
    struct vh_program program = {.id = id,
                                 .flags = VH_PROGRAM_HINTS | VH_PROGRAM_STATE,
                                 .name = "p",
                                 .seq = seq,
                                 .lost = lost};

    say(f, VH_PROGRAMS, 0, &head, sizeof(head), &program, sizeof(program));
}

static void say_batch(struct fixture *f, enum vh_type type, uint32_t count, uint64_t seq,
                      uint64_t lost, uint32_t flags)
{
    struct vh_batch batch = {
        .program = 3, .count = count, .seq = seq, .lost = lost, .flags = flags};
    struct {
        struct vh_hint h;
        uint32_t key;
        uint32_t pad;
    } records[512] = {{{0}, 0, 0}};

    for (uint32_t i = 0; i < count; i++)
        records[i].h = (struct vh_hint){.size = 28, .kind = 1, .key_size = 4};
    say(f, type, type == VH_SNAPSHOT ? f->last_id : 0, &batch, sizeof(batch), records,
        count * sizeof(records[0]));
}

static void say_answer(struct fixture *f, uint32_t id, uint32_t error, const char *text)
{
    struct vh_answer answer = {.error = error, .program = 9, .text_len = (uint32_t)strlen(text)};

    say(f, VH_ANSWER, id, &answer, sizeof(answer), text, strlen(text));
}

/* A session that is up, with one program whose snapshot is done. */
static void come_up(struct fixture *f)
{
    vh_session_hello(f->session);
    say_hello(f, GUEST, HOST);
    say_cpus(f);
    say_programs(f, 3, 10, 0);
    assert_sent(f, "HELLO HELLO RESYNC ");
    say_batch(f, VH_SNAPSHOT, 1, 10, 0, VH_SNAPSHOT_FIRST | VH_SNAPSHOT_LAST);
    say_answer(f, f->last_id, 0, "");
    assert_log(f, "up(6.1) cpus(1,5) programs(1,p) snapshot(3) ");
    assert_sent(f, "");
    f->resyncs = 0;
}

static void test_host_first(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    vh_session_hello(f->session);
    assert_sent(f, "HELLO ");
    g_assert_cmpuint(f->hello.session, ==, HOST);
    g_assert_cmpuint(f->hello.peer, ==, 0);
    g_assert_cmpuint(f->hello.credit, ==, VH_CREDIT_INITIAL);
    g_assert_false(vh_session_is_up(f->session));
    say_cpus(f);
    assert_log(f, "");
    say_hello(f, GUEST, HOST);
    g_assert_true(vh_session_is_up(f->session));
    assert_sent(f, "HELLO ");
    g_assert_cmpuint(f->hello.peer, ==, GUEST);
    say_hello(f, GUEST, HOST);
    assert_log(f, "up(6.1) ");
    assert_sent(f, "");
}

static void test_guest_first(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    say_hello(f, GUEST, 0);
    assert_log(f, "");
    assert_sent(f, "HELLO ");
    say_hello(f, GUEST, HOST);
    assert_log(f, "up(6.1) ");
}

static void test_guest_restarts(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    say_hello(f, GUEST + 1, 0);
    assert_log(f, "down ");
    say_cpus(f);
    assert_log(f, "");
    say_hello(f, GUEST + 1, HOST);
    assert_log(f, "up(6.1) ");
}

static void test_restart_by_owner(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    vh_session_restart(f->session, HOST + 1, "the port was closed");
    assert_log(f, "down ");
    assert_sent(f, "HELLO ");
    g_assert_cmpuint(f->hello.session, ==, HOST + 1);
    g_assert_cmpuint(f->hello.peer, ==, 0);
    say_programs(f, 3, 10, 0);
    assert_log(f, "");
    /* An answer to the former number is not one to this. */
    say_hello(f, GUEST, HOST);
    assert_log(f, "");
    say_hello(f, GUEST, HOST + 1);
    assert_log(f, "up(6.1) ");
}

static void test_wrong_version(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                             .version_min = 2,
                             .version_max = 7,
                             .session = GUEST,
                             .peer = HOST,
                             .role = VH_ROLE_GUEST,
                             .agent = "newer"};

    vh_session_hello(f->session);
    say(f, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
    assert_log(f, "complaint ");
    g_assert_false(vh_session_is_up(f->session));
    assert_sent(f, "HELLO ");
    hello.peer = 0;
    say(f, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
    assert_log(f, "complaint ");
    assert_sent(f, "HELLO ");
}

static void test_own_echo(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autofree uint8_t *echo = NULL;
    guint len = 0;

    vh_session_hello(f->session);
    len = f->sent->len;
    echo = g_memdup2(f->sent->data, len);
    vh_session_receive(f->session, echo, len);
    assert_log(f, "complaint ");
    g_assert_false(vh_session_is_up(f->session));
}

static void test_gaps(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    say_batch(f, VH_HINTS, 2, 10, 0, 0);
    say_batch(f, VH_HINTS, 1, 12, 0, 0);
    assert_log(f, "hints(2) hints(1) ");
    assert_sent(f, "");
    say_batch(f, VH_HINTS, 1, 14, 0, 0); /* 13 is missing */
    assert_sent(f, "RESYNC ");
    say_batch(f, VH_HINTS, 1, 15, 4, 0); /* lost grew, but the snapshot to come will have it */
    assert_sent(f, "");
    say_batch(f, VH_SNAPSHOT, 1, 16, 4, VH_SNAPSHOT_FIRST);
    say_batch(f, VH_SNAPSHOT, 1, 16, 5,
              VH_SNAPSHOT_LAST); /* lost meanwhile: that one may be missing */
    assert_sent(f, "");
    say_answer(f, f->last_id, 0, "");
    assert_sent(f, "RESYNC ");
    g_assert_cmpuint(vh_session_counters(f->session)->gaps, ==, 3);
}

static void test_programs_tell_gaps(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    say_programs(f, 3, 10, 0);
    assert_sent(f, "");
    say_programs(f, 3, 10, 1);
    assert_sent(f, "RESYNC ");
    say_answer(f, f->last_id, 0, "");
    say_programs(f, 3, 11, 1);
    assert_sent(f, "RESYNC ");
    say_answer(f, f->last_id, ENOENT, "no such program");
    say_programs(f, 4, 0, 0); /* another one took its place */
    assert_sent(f, "RESYNC ");
}

static void test_broken_frame(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    vh_session_receive(f->session,
                       (const uint8_t *)"\x05"
                                        "abc\x00",
                       5);
    assert_log(f, "complaint ");
    assert_sent(f, "RESYNC ");
    g_assert_cmpuint(vh_session_counters(f->session)->broken, ==, 1);
    say_batch(f, VH_HINTS, 1, 10, 0, 0);
    assert_log(f, "hints(1) ");
}

static void test_refused_payloads(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_batch batch = {.program = 77, .count = 1, .seq = 0};

    come_up(f);
    say(f, VH_HINTS, 0, &batch, sizeof(batch), NULL, 0); /* a record is announced and missing */
    say(f, VH_CPUS, 0, "x", 1, NULL, 0);
    assert_log(f, "complaint complaint ");
    batch.count = 0;
    say(f, VH_HINTS, 0, &batch, sizeof(batch), NULL, 0); /* of no program that is known */
    say_answer(f, 4711, 0, "");                          /* to nothing */
    say(f, (enum vh_type)99, 0, NULL, 0, NULL, 0);
    g_assert_cmpuint(vh_session_counters(f->session)->unknown, ==, 1);
    g_assert_cmpuint(vh_session_counters(f->session)->refused, >=, 3);
    g_assert_true(vh_session_is_up(f->session));
}

static void test_credit(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    uint64_t seq = 10;
    uint64_t used = 0;

    come_up(f);
    for (int i = 0; i < 200; i++) {
        say_batch(f, VH_HINTS, 400, seq, 0, 0);
        seq += 400;
        used += sizeof(struct vh_batch) + 400 * 32;
    }
    g_string_truncate(f->log, 0);
    assert_sent(f, "CREDIT CREDIT CREDIT CREDIT CREDIT CREDIT CREDIT CREDIT CREDIT ");
    g_assert_cmpuint(f->credit, <=, used + 1000);
    g_assert_cmpuint(f->credit + VH_CREDIT_INITIAL / 2, >=, used);
}

/* One that sends more than it may is cut off, and begins anew with nothing that it said before. */
static void test_overdraws(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    uint64_t seq = 10;
    uint64_t used = 0;

    come_up(f);
    f->room = 0; /* nothing is granted */
    while (vh_session_is_up(f->session)) {
        say_batch(f, VH_HINTS, 400, seq, 0, 0);
        seq += 400;
        used += sizeof(struct vh_batch) + 400 * 32;
        g_assert_cmpuint(used, <, 3 * VH_CREDIT_INITIAL);
    }
    g_assert_cmpuint(used, >, VH_CREDIT_INITIAL);
    g_assert_true(g_str_has_suffix(f->log->str, "hints(400) down complaint "));
    g_string_truncate(f->log, 0);
    say_batch(f, VH_SNAPSHOT, 1, seq, 0, VH_SNAPSHOT_FIRST | VH_SNAPSHOT_LAST);
    assert_log(f, "");
    f->room = 1 << 20;
    vh_session_flush(f->session);
    assert_sent(f, "HELLO ");
    g_assert_cmpuint(f->hello.peer, ==, 0);
    g_assert_cmpuint(vh_session_counters(f->session)->overdrawn, ==, 1);
    say_hello(f, GUEST, HOST);
    say_programs(f, 3, seq, 0);
    say_batch(f, VH_HINTS, 400, seq, 0, 0);
    assert_log(f, "up(6.1) programs(1,p) hints(400) ");
}

/* What may not begin yet is not begun, and nothing of it is taken; asked again, it is. */
static void test_begins_later(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    f->begins = 0;
    for (uint64_t i = 1; i < 100; i++) {
        say_hello(f, GUEST + i, HOST);
        say_cpus(f);
        say_programs(f, 3, 10, 0);
    }
    assert_log(f, "down ");
    assert_sent(f, "");
    f->begins = 1;
    vh_session_hello(f->session);
    assert_sent(f, "HELLO ");
    g_assert_cmpuint(f->hello.peer, ==, 0);
    say_hello(f, GUEST + 99, HOST);
    say_cpus(f);
    assert_log(f, "up(6.1) cpus(1,5) ");
    g_assert_cmpuint(f->begins, ==, 0);
    say_hello(f, GUEST + 99, HOST); /* again: it is the same */
    assert_log(f, "");
}

static void free_session(G_GNUC_UNUSED const struct vh_answer *answer,
                         G_GNUC_UNUSED const char *text, G_GNUC_UNUSED const char *log,
                         gpointer data)
{
    struct fixture *f = data;

    vh_session_free(f->session);
}

struct answered {
    int calls;
    int error; /* -1: the session ended */
    char *text;
};

static void on_answer(const struct vh_answer *answer, const char *text, const char *log,
                      gpointer data)
{
    struct answered *answered = data;

    g_assert_nonnull(log);
    answered->calls++;
    answered->error = answer ? (int)answer->error : -1;
    g_free(answered->text);
    answered->text = g_strdup(text);
}

static uint32_t load(struct fixture *f, const char *name, gsize size, struct answered *answered)
{
    struct vh_load head = {.size = (uint32_t)size, .tunables_len = 4};
    guint8 *bytes = g_malloc(size);
    g_autoptr(GBytes) object = NULL;

    for (gsize i = 0; i < size; i++)
        bytes[i] = (guint8)(i * 7 + i / 256);
    object = g_bytes_new_take(bytes, size);
    g_strlcpy(head.name, name, sizeof(head.name));
    return vh_session_load(f->session, &head, "a=1", object, on_answer, answered);
}

static void test_load(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct answered first = {0}, second = {0};
    uint32_t first_id = 0, second_id = 0;

    come_up(f);
    first_id = load(f, "first", 70000, &first);
    second_id = load(f, "second", 10, &second);
    assert_sent(f, "LOAD CHUNK CHUNK CHUNK ");
    g_assert_cmpuint(f->object->len, ==, 70000);
    g_assert_cmpuint(f->object->data[69999], ==, (guint8)(69999u * 7 + 69999u / 256));
    g_byte_array_set_size(f->object, 0);
    say_answer(f, first_id, EINVAL, "verifier says no\xff");
    g_assert_cmpint(first.error, ==, EINVAL);
    g_assert_true(g_utf8_validate(first.text, -1, NULL));
    assert_sent(f, "LOAD CHUNK ");
    say_answer(f, second_id, 0, "");
    g_assert_cmpint(second.calls, ==, 1);
    g_assert_cmpint(second.error, ==, 0);
    say_answer(f, second_id, 0, "");
    g_assert_cmpint(second.calls, ==, 1);
    g_free(first.text);
    g_free(second.text);
}

/* The object goes out as the queue drains, and control messages in between. */
static void test_load_is_paced(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct answered answered = {0};
    int turns = 0;

    come_up(f);
    f->room = 50000;
    load(f, "big", 1 << 20, &answered);
    while (f->object->len < 1 << 20) {
        GByteArray *sent = f->sent;
        static uint8_t buffer[VH_DECODER_BUFFER] __attribute__((aligned(8)));
        struct vh_decoder decoder;
        struct vh_frame frame;
        const uint8_t *in = sent->data;
        size_t len = sent->len;

        vh_decoder_init(&decoder, buffer);
        while (vh_decoder_feed(&decoder, &in, &len, &frame) == 1)
            note_sent(f, &frame);
        g_byte_array_set_size(sent, 0);
        f->room = 50000;
        vh_session_flush(f->session);
        g_assert_cmpint(++turns, <, 100);
    }
    g_assert_cmpint(turns, >=, 20);
    vh_session_restart(f->session, HOST + 1, "gone");
    g_assert_cmpint(answered.calls, ==, 1);
    g_assert_cmpint(answered.error, ==, -1);
    g_assert_cmpstr(answered.text, ==, "gone");
    g_free(answered.text);
}

static void test_forget(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct answered first = {0}, second = {0};
    uint32_t first_id = 0, second_id = 0, third_id = 0;

    come_up(f);
    first_id = load(f, "first", 10, &first);
    second_id = load(f, "second", 10, &second);
    third_id = load(f, "third", 10, &second);
    g_assert_false(vh_session_withdraw(f->session, first_id)); /* it is on its way */
    g_assert_true(vh_session_withdraw(f->session, third_id));
    g_assert_false(vh_session_withdraw(f->session, third_id));
    vh_session_forget(f->session, first_id);
    vh_session_forget(f->session, second_id);
    say_answer(f, first_id, 0, "");
    g_assert_cmpint(first.calls, ==, 0);
    g_assert_cmpint(second.calls, ==, 0);
    assert_sent(f, "LOAD CHUNK ");
}

/* A guest that talks and never reads: nothing piles up, and what is owed goes out once there is
 * room. */
/* Whatever is heard of the guest is a sign of life, also what it was not asked for. */
static void test_signs_of_life(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_pong pong = {.host_ns = 1, .guest_ns = 2};
    gint64 heard = 0;
    gint64 before = 0;
    uint32_t asked = 0;

    g_assert_false(vh_session_ping(f->session)); /* nobody is there */
    come_up(f);
    g_assert_false(vh_session_waits(f->session));
    g_assert_cmpuint(f->asked, ==, 1); /* for the snapshot */
    g_assert_true(vh_session_ping(f->session));
    assert_sent(f, "PING ");
    g_assert_cmpuint(f->pings, ==, 1);
    heard = vh_session_heard(f->session);
    before = g_get_monotonic_time();
    vh_session_receive(f->session, (const uint8_t *)"rubbish", 8);
    g_assert_cmpint(vh_session_heard(f->session), ==, heard);
    say(f, VH_PONG, 0, &pong, sizeof(pong), NULL, 0);
    g_assert_cmpint(vh_session_heard(f->session), >=, before);
    f->room = 3;
    g_assert_false(vh_session_ping(f->session));
    f->room = 1 << 20;
    asked = f->asked;
    vh_session_unload(f->session, "p", NULL, NULL);
    g_assert_cmpuint(f->asked, ==, asked + 1);
    g_assert_true(vh_session_waits(f->session));
}

static void test_trouble(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct vh_trouble trouble = {.program = 3, .text_len = 4};

    come_up(f);
    say(f, VH_TROUBLE, 0, &trouble, sizeof(trouble), "lo\xffp", 4);
    assert_log(f, "trouble(3,lo\xef\xbf\xbdp) ");
    trouble.text_len = 0;
    say(f, VH_TROUBLE, 0, &trouble, sizeof(trouble), NULL, 0);
    assert_log(f, "trouble(3,) ");
    say(f, VH_TROUBLE, 0, &trouble, sizeof(trouble), "more", 4);
    assert_log(f, "complaint ");
    g_assert_cmpuint(vh_session_counters(f->session)->refused, ==, 1);
}

static void test_no_room(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    f->room = 0;
    for (int i = 0; i < 1000; i++) {
        say_hello(f, GUEST + 1 + (uint64_t)i, 0);
        say_hello(f, GUEST + 1 + (uint64_t)i, HOST);
        say_programs(f, 3, 10, 0);
    }
    g_assert_cmpuint(f->sent->len, ==, 0);
    f->room = 1 << 20;
    vh_session_flush(f->session);
    assert_sent(f, "HELLO RESYNC ");
}

/* Says that the programs `first` to `first` + `count` - 1 run. */
static void say_many(struct fixture *f, uint32_t first, uint32_t count)
{
    struct vh_programs head = {.count = count};
    struct vh_program programs[VH_PROGRAMS_MAX] = {{0}};

    for (uint32_t i = 0; i < count; i++) {
        programs[i].id = first + i;
        programs[i].flags = VH_PROGRAM_HINTS | VH_PROGRAM_STATE;
        g_snprintf(programs[i].name, sizeof(programs[i].name), "p%u", first + i);
    }
    say(f, VH_PROGRAMS, 0, &head, sizeof(head), programs, count * sizeof(programs[0]));
}

/* A guest that names ever new programs, and answers nothing, is asked about so many at a time. */
static void test_resyncs_are_bounded(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    uint32_t first = 0;

    come_up(f);
    for (uint32_t i = 0; i < 100; i++)
        say_many(f, 100 + i * VH_PROGRAMS_MAX, VH_PROGRAMS_MAX);
    g_string_truncate(f->log, 0);
    for (uint32_t i = 0; i < VH_PROGRAMS_MAX; i++)
        g_string_append(f->log, "RESYNC ");
    assert_sent(f, f->log->str);
    g_string_truncate(f->log, 0);
    first = f->last_id - VH_PROGRAMS_MAX + 1;
    say_answer(f, first, ENOENT, "gone");
    say_answer(f, first + 1, ENOENT, "gone");
    assert_sent(f, "RESYNC RESYNC ");
}

/* Asks for as much as a guest may owe. */
static void ask_all(struct fixture *f, struct answered *answered)
{
    for (uint32_t i = 0; i < VH_SESSION_OWED; i++) {
        g_assert_true(vh_session_may_ask(f->session));
        vh_session_unload(f->session, "p", answered ? on_answer : NULL, answered);
    }
}

/* Beside snapshots, so many answers may be owed, and no more. */
static void test_answers_owed_are_bounded(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    struct answered answered = {0};

    g_assert_false(vh_session_may_ask(f->session));
    come_up(f);
    f->room = 0;
    ask_all(f, &answered);
    g_assert_false(vh_session_may_ask(f->session));
    g_assert_cmpuint(vh_session_owed(f->session), ==, VH_SESSION_OWED);
    say_batch(f, VH_HINTS, 1, 20, 0, 0); /* a gap */
    g_assert_cmpuint(vh_session_owed(f->session), ==, VH_SESSION_OWED);
    f->room = 1 << 20;
    vh_session_flush(f->session);
    for (uint32_t i = 0; i < 10000; i++)
        vh_session_flush(f->session);
    say_answer(f, f->last_id + 2, ENOENT, "no such program"); /* the first, but for the RESYNC */
    g_assert_cmpint(answered.calls, ==, 1);
    g_assert_cmpuint(f->answered, ==, 2); /* the first snapshot, too */
    g_assert_true(vh_session_may_ask(f->session));
    g_assert_cmpuint(vh_session_owed(f->session), ==, VH_SESSION_OWED - 1);
    vh_session_restart(f->session, HOST + 1, "gone");
    g_assert_cmpint(answered.calls, ==, VH_SESSION_OWED);
    g_assert_cmpuint(vh_session_owed(f->session), ==, 0);
    g_free(answered.text);
}

/* One that goes and comes back is not asked about twice at a time. */
static void test_one_resync_a_program(struct fixture *f, G_GNUC_UNUSED gconstpointer data)
{
    come_up(f);
    say_many(f, 7, 1);
    assert_sent(f, "RESYNC ");
    say_many(f, 7, 0);
    say_many(f, 7, 1);
    assert_sent(f, "");
    g_assert_false(vh_session_is_current(f->session, 7));
    say_answer(f, f->last_id, ENOENT, "no such program");
    assert_sent(f, "RESYNC ");
    say_answer(f, f->last_id, 0, "");
    assert_sent(f, "");
    g_assert_true(vh_session_is_current(f->session, 7));
}

static void call_back(struct fixture *f)
{
    f->calls_back = true;
    vh_session_hello(f->session);
}

static void free_in_answer(struct fixture *f)
{
    come_up(f);
    vh_session_unload(f->session, "p", free_session, f);
    say_answer(f, f->last_id + 1, 0, "");
}

static void ask_too_much(struct fixture *f)
{
    come_up(f);
    ask_all(f, NULL);
    vh_session_unload(f->session, "p", NULL, NULL);
}

/* Invariants 5 and 6 are the caller's part of the bargain: whoever breaks one is stopped. */
static const struct bargain {
    const char *name;
    void (*breaks)(struct fixture *f);
    const char *stopped_by;
} bargains[] = {
    {"/session/calls-back", call_back, "*!session->sending*"},
    {"/session/frees-itself", free_in_answer, "*!session->busy*"},
    {"/session/asks-too-much", ask_too_much, "*vh_session_may_ask*"},
};

static void test_bargain(struct fixture *f, gconstpointer data)
{
    const struct bargain *bargain = data;

    if (g_test_subprocess()) {
        bargain->breaks(f);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr(bargain->stopped_by);
}

#define ADD(name, func) g_test_add("/session/" name, struct fixture, NULL, set_up, func, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("host-first", test_host_first);
    ADD("guest-first", test_guest_first);
    ADD("guest-restarts", test_guest_restarts);
    ADD("restart-by-owner", test_restart_by_owner);
    ADD("wrong-version", test_wrong_version);
    ADD("own-echo", test_own_echo);
    ADD("gaps", test_gaps);
    ADD("programs-tell-gaps", test_programs_tell_gaps);
    ADD("broken-frame", test_broken_frame);
    ADD("refused-payloads", test_refused_payloads);
    ADD("credit", test_credit);
    ADD("overdraws", test_overdraws);
    ADD("begins-later", test_begins_later);
    ADD("load", test_load);
    ADD("load-is-paced", test_load_is_paced);
    ADD("forget", test_forget);
    ADD("signs-of-life", test_signs_of_life);
    ADD("trouble", test_trouble);
    ADD("no-room", test_no_room);
    ADD("resyncs-are-bounded", test_resyncs_are_bounded);
    ADD("answers-owed-are-bounded", test_answers_owed_are_bounded);
    for (gsize i = 0; i < G_N_ELEMENTS(bargains); i++)
        g_test_add(bargains[i].name, struct fixture, &bargains[i], set_up, test_bargain, tear_down);
    ADD("one-resync-a-program", test_one_resync_a_program);
    return g_test_run();
}
