/* SPDX-License-Identifier: GPL-2.0-or-later */
/* injector/session.c, resync.c and transfer.c: a host of a few lines talks to the guest's side; the programs
 * behind it are a table. */
#include <errno.h>
#include <glib.h>
#include <sodium/crypto_hash_sha256.h>
#include <string.h>

#include "session.h"

#define GUEST 77u
#define HOST 42u

/* What stands behind the session: programs by name, and what was called. */
struct fake {
    struct vh_session session;
    struct vh_program programs[VH_PROGRAMS_MAX];
    uint32_t count;
    uint32_t last_id;
    uint32_t opened;
    uint32_t loads;
    uint32_t loaded; /* the program that was walked last */
    int load_error;
    GByteArray *object; /* as it arrived */
    char *tunables;
    uint32_t facts; /* records in every program's state */
};

static void on_opened(void *context)
{
    ((struct fake *)context)->opened++;
}

static int on_load(void *context, const struct vh_transfer *transfer, struct vh_reply *reply)
{
    struct fake *fake = context;

    fake->loads++;
    g_byte_array_set_size(fake->object, 0);
    g_byte_array_append(fake->object, transfer->object, transfer->load.size);
    g_free(fake->tunables);
    fake->tunables = g_memdup2(transfer->tunables, transfer->load.tunables_len + 1);
    if (fake->load_error) {
        g_strlcpy(reply->text, "refused", sizeof(reply->text));
        reply->log_len = VH_LOG_MAX + 10;
        reply->log = malloc(reply->log_len);
        memset(reply->log, 'x', reply->log_len);
        memcpy(reply->log + reply->log_len - 3, "end", 3);
        return fake->load_error;
    }
    for (uint32_t i = 0; i < fake->count; i++) {
        if (strcmp(fake->programs[i].name, transfer->load.name) == 0)
            fake->programs[i] = fake->programs[--fake->count];
    }
    fake->programs[fake->count] = (struct vh_program){.id = ++fake->last_id, .flags = VH_PROGRAM_STATE};
    memcpy(fake->programs[fake->count].name, transfer->load.name, VH_NAME_SIZE);
    reply->program = fake->programs[fake->count++].id;
    return 0;
}

static void on_loaded(void *context, uint32_t program)
{
    ((struct fake *)context)->loaded = program;
}

static int on_unload(void *context, const char *name, struct vh_reply *reply)
{
    struct fake *fake = context;

    (void)reply;
    for (uint32_t i = 0; i < fake->count; i++) {
        if (strcmp(fake->programs[i].name, name) == 0) {
            fake->programs[i] = fake->programs[--fake->count];
            return 0;
        }
    }
    return -ENOENT;
}

static uint32_t on_programs(void *context, struct vh_program programs[VH_PROGRAMS_MAX])
{
    struct fake *fake = context;

    memcpy(programs, fake->programs, fake->count * sizeof(programs[0]));
    return fake->count;
}

static uint32_t on_cpus(void *context, struct vh_cpu cpus[VH_CPUS_MAX])
{
    (void)context;
    cpus[0] = (struct vh_cpu){.cpu = 0, .apic_id = 4, .flags = VH_CPU_ONLINE};
    return 1;
}

static int on_facts(void *context, uint32_t program, struct vh_facts *facts)
{
    struct fake *fake = context;
    struct vh_hint hint = {.size = 28, .kind = 1, .key_size = 4};
    bool known = false;

    for (uint32_t i = 0; i < fake->count; i++)
        known |= fake->programs[i].id == program;
    if (!known)
        return -ENOENT;
    facts->len = fake->facts * 32u;
    facts->records = calloc(facts->len + 1, 1);
    for (uint32_t i = 0; i < fake->facts; i++) {
        memcpy(facts->records + 32u * i, &hint, sizeof(hint));
        memcpy(facts->records + 32u * i + sizeof(hint), &i, sizeof(i));
    }
    facts->seq = 5;
    facts->lost = 2;
    return 0;
}

static uint64_t on_now(void *context)
{
    (void)context;
    return 99;
}

static const struct vh_session_ops ops = {on_opened,   on_load, on_loaded, on_unload,
                                          on_programs, on_cpus, on_facts,  on_now};

static struct fake *fake_new(void)
{
    struct fake *fake = g_new0(struct fake, 1);
    struct vh_hello self = {.release = "test", .agent = "test"};

    fake->object = g_byte_array_new();
    g_assert_cmpint(vh_session_init(&fake->session, &self, &ops, fake), ==, 0);
    return fake;
}

static void fake_free(struct fake *fake)
{
    vh_session_free(&fake->session);
    g_byte_array_unref(fake->object);
    g_free(fake->tunables);
    g_free(fake);
}

/* Gives the session bytes in pieces of `piece`, reading nothing back. */
static void feed(struct fake *fake, const uint8_t *bytes, size_t len, size_t piece)
{
    while (len > 0) {
        size_t part = MIN(piece, len);

        g_assert_cmpuint(vh_session_input(&fake->session, bytes, part), ==, part);
        bytes += part;
        len -= part;
    }
}

static void send_pieces(struct fake *fake, enum vh_type type, uint8_t version, uint32_t id, const void *payload,
                        size_t len, size_t piece)
{
    g_autofree uint8_t *wire = g_malloc(VH_FRAME_ENCODED(len));
    struct iovec part = {.iov_base = (void *)payload, .iov_len = len};
    long size = vh_frame_encode(wire, VH_FRAME_ENCODED(len), type, version, id, &part, 1);

    g_assert_cmpint(size, >, 0);
    feed(fake, wire, (size_t)size, piece);
}

static void request(struct fake *fake, enum vh_type type, uint32_t id, const void *payload, size_t len)
{
    send_pieces(fake, type, 1, id, payload, len, SIZE_MAX);
}

/* Takes the next frame of what the session wants written; false when there is none. The payload is copied. */
struct got {
    struct vh_frame frame;
    _Alignas(8) uint8_t payload[VH_PAYLOAD_MAX];
};

static bool next(struct fake *fake, struct got *got)
{
    static uint64_t buffer[VH_DECODER_BUFFER / sizeof(uint64_t) + 1];
    struct vh_decoder decoder;
    size_t len;
    const uint8_t *bytes = vh_out_waiting(&fake->session.out, &len);
    const uint8_t *at = bytes;

    vh_decoder_init(&decoder, (uint8_t *)buffer);
    if (vh_decoder_feed(&decoder, &at, &len, &got->frame) != 1)
        return false;
    g_assert_cmpuint(decoder.counters.bad, ==, 0);
    memcpy(got->payload, got->frame.data, got->frame.len);
    got->frame.data = got->payload;
    vh_out_written(&fake->session.out, (size_t)(at - bytes));
    return true;
}

static struct got *expect(struct fake *fake, enum vh_type type, uint32_t id)
{
    static struct got got;

    g_assert_true(next(fake, &got));
    g_assert_cmpstr(vh_type_name(got.frame.type), ==, vh_type_name((uint8_t)type));
    g_assert_cmpuint(got.frame.id, ==, id);
    return &got;
}

static void expect_nothing(struct fake *fake)
{
    struct got got;

    g_assert_false(next(fake, &got));
}

/* Expects an ANSWER with this error; returns the text, valid until the next expectation. */
static const char *expect_answer(struct fake *fake, uint32_t id, int error)
{
    static char text[VH_TEXT_MAX + 1];
    struct got *got = expect(fake, VH_ANSWER, id);
    struct vh_answer answer;
    const char *said;
    const char *log;

    g_assert_cmpint(vh_msg_answer(&got->frame, &answer, &said, &log), ==, 0);
    g_assert_cmpint((int)answer.error, ==, error);
    memcpy(text, said, answer.text_len);
    text[answer.text_len] = 0;
    g_assert_true(error == 0 || text[0]);
    return text;
}

static void hello(struct fake *fake, uint64_t session, uint64_t peer, uint16_t version, uint32_t credit)
{
    struct vh_hello h = {
        .magic = VH_HELLO_MAGIC,
        .version_min = version,
        .version_max = version,
        .session = session,
        .peer = peer,
        .role = VH_ROLE_HOST,
        .credit = credit,
    };

    send_pieces(fake, VH_HELLO, 0, 0, &h, sizeof(h), SIZE_MAX);
}

static void expect_hello(struct fake *fake, uint64_t peer)
{
    struct got *got = expect(fake, VH_HELLO, 0);
    struct vh_hello h;

    g_assert_cmpint(vh_msg_hello(&got->frame, &h), ==, 0);
    g_assert_cmpuint(h.session, ==, GUEST);
    g_assert_cmpuint(h.peer, ==, peer);
    g_assert_cmpuint(h.role, ==, VH_ROLE_GUEST);
}

static struct fake *fake_up(uint32_t credit)
{
    struct fake *fake = fake_new();

    vh_session_open(&fake->session, GUEST);
    expect_hello(fake, 0);
    hello(fake, HOST, GUEST, 1, credit);
    expect_hello(fake, HOST);
    expect(fake, VH_CPUS, 0);
    expect(fake, VH_PROGRAMS, 0);
    expect_nothing(fake);
    return fake;
}

static struct vh_load load_of(const char *name, const uint8_t *object, uint32_t size, uint16_t flags)
{
    struct vh_load load = {.size = size, .flags = flags};

    g_strlcpy(load.name, name, sizeof(load.name));
    crypto_hash_sha256(load.digest, object, size);
    return load;
}

static void chunk(struct fake *fake, uint32_t id, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    g_autofree uint8_t *payload = g_malloc(sizeof(struct vh_chunk) + len);
    struct vh_chunk head = {.offset = offset};

    memcpy(payload, &head, sizeof(head));
    memcpy(payload + sizeof(head), bytes, len);
    request(fake, VH_CHUNK, id, payload, sizeof(head) + len);
}

static const uint8_t object[] = "an object of some bytes";

/* Loads `object` under this name in two chunks; consumes nothing of what comes back. */
static void load(struct fake *fake, uint32_t id, const char *name, uint16_t flags)
{
    struct vh_load l = load_of(name, object, sizeof(object), flags);

    request(fake, VH_LOAD, id, &l, sizeof(l));
    chunk(fake, id, 0, object, 10);
    chunk(fake, id, 10, object + 10, sizeof(object) - 10);
}

static void load_good(struct fake *fake, uint32_t id, const char *name, uint16_t flags)
{
    load(fake, id, name, flags);
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, id, 0);
    expect_nothing(fake);
}

static void test_greeting(void)
{
    struct fake *fake = fake_up(1000);

    g_assert_cmpuint(fake->opened, ==, 1);
    hello(fake, HOST, GUEST, 1, 1000); /* confirms, nothing more */
    expect_nothing(fake);
    g_assert_cmpuint(fake->opened, ==, 1);
    hello(fake, HOST + 1, 0, 1, 1000); /* a host that has restarted */
    expect_hello(fake, HOST + 1);
    expect(fake, VH_CPUS, 0);
    expect(fake, VH_PROGRAMS, 0);
    g_assert_cmpuint(fake->opened, ==, 2);
    fake_free(fake);
}

static void test_wrong_version(void)
{
    struct fake *fake = fake_up(1000);

    hello(fake, HOST + 1, GUEST, 9, 1000);
    expect_hello(fake, HOST + 1); /* knows the host's session, so that the two do not greet for ever */
    expect_nothing(fake);
    request(fake, VH_LIST, 1, NULL, 0);
    expect_nothing(fake);
    g_assert_cmpuint(vh_session_room(&fake->session), ==, 0);
    hello(fake, HOST + 2, GUEST, 1, 1000);
    expect_hello(fake, HOST + 2);
    expect(fake, VH_CPUS, 0);
    expect(fake, VH_PROGRAMS, 0);
    send_pieces(fake, VH_LIST, 2, 1, NULL, 0, SIZE_MAX); /* a frame of another version */
    expect_nothing(fake);
    fake_free(fake);
}

static void test_before_the_greeting(void)
{
    struct fake *fake = fake_new();

    vh_session_open(&fake->session, GUEST);
    expect_hello(fake, 0);
    request(fake, VH_LIST, 1, NULL, 0);
    load(fake, 2, "a", 0);
    expect_nothing(fake);
    vh_session_send_cpus(&fake->session);
    vh_session_send_programs(&fake->session);
    expect_nothing(fake);
    g_assert_cmpuint(fake->loads, ==, 0);
    fake_free(fake);
}

static void test_list_and_ping(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_ping ping = {.host_ns = 7};
    struct vh_pong pong;

    request(fake, VH_LIST, 3, NULL, 0);
    expect(fake, VH_CPUS, 0);
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, 3, 0);
    request(fake, VH_PING, 0, &ping, sizeof(ping));
    g_assert_cmpint(vh_msg_pong(&expect(fake, VH_PONG, 0)->frame, &pong), ==, 0);
    g_assert_cmpuint(pong.host_ns, ==, 7);
    g_assert_cmpuint(pong.guest_ns, ==, 99);
    fake_free(fake);
}

static void test_load(void)
{
    struct fake *fake = fake_up(1000);

    load_good(fake, 1, "a", 0);
    g_assert_cmpmem(fake->object->data, fake->object->len, object, sizeof(object));
    g_assert_cmpuint(fake->loaded, ==, 1);
    load(fake, 2, "a", 0);
    g_assert_nonnull(strstr(expect_answer(fake, 2, EEXIST), "a:"));
    expect_nothing(fake); /* its chunks were under way already */
    load_good(fake, 3, "a", VH_LOAD_REPLACE);
    g_assert_cmpuint(fake->loaded, ==, 2);
    load_good(fake, 4, "b", VH_LOAD_REPLACE);
    g_assert_cmpuint(fake->loads, ==, 3);
    fake_free(fake);
}

static void test_load_tunables(void)
{
    struct fake *fake = fake_up(1000);
    static const char tunables[] = "x=1\0y=2";
    struct vh_load l = load_of("a", object, sizeof(object), 0);
    uint8_t payload[sizeof(l) + sizeof(tunables)];

    l.tunables_len = sizeof(tunables);
    memcpy(payload, &l, sizeof(l));
    memcpy(payload + sizeof(l), tunables, sizeof(tunables));
    request(fake, VH_LOAD, 1, payload, sizeof(payload));
    chunk(fake, 1, 0, object, sizeof(object));
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, 1, 0);
    g_assert_cmpmem(fake->tunables, sizeof(tunables), tunables, sizeof(tunables));
    fake_free(fake);
}

static void test_load_refused(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_answer answer;
    const char *text;
    const char *log;

    fake->load_error = -EACCES;
    load(fake, 1, "a", 0);
    g_assert_cmpint(vh_msg_answer(&expect(fake, VH_ANSWER, 1)->frame, &answer, &text, &log), ==, 0);
    g_assert_cmpuint(answer.error, ==, EACCES);
    g_assert_cmpmem(text, answer.text_len, "refused", 7);
    g_assert_cmpuint(answer.log_len, ==, VH_LOG_MAX);
    g_assert_cmpuint(answer.flags, ==, VH_ANSWER_LOG_CUT);
    g_assert_cmpmem(log + answer.log_len - 3, 3, "end", 3);
    g_assert_cmpuint(fake->loaded, ==, 0);
    expect_nothing(fake);
    fake_free(fake);
}

static void test_load_sizes(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_load l = load_of("a", object, sizeof(object), 0);

    l.size = 0;
    request(fake, VH_LOAD, 1, &l, sizeof(l));
    expect_answer(fake, 1, EFBIG);
    l.size = VH_OBJECT_MAX + 1;
    request(fake, VH_LOAD, 2, &l, sizeof(l));
    g_assert_nonnull(strstr(expect_answer(fake, 2, EFBIG), "16777216"));
    chunk(fake, 2, 0, object, 5); /* late, of a LOAD that was answered */
    expect_nothing(fake);
    request(fake, VH_LOAD, 3, &l, sizeof(l) - 1);
    expect_answer(fake, 3, EBADMSG);
    fake_free(fake);
}

static void test_largest_object(void)
{
    struct fake *fake = fake_up(1000);
    g_autofree uint8_t *large = g_malloc(VH_OBJECT_MAX);
    struct vh_load l;

    for (size_t i = 0; i < VH_OBJECT_MAX; i++)
        large[i] = (uint8_t)(i * 2654435761u >> 24);
    l = load_of("large", large, VH_OBJECT_MAX, 0);
    request(fake, VH_LOAD, 1, &l, sizeof(l));
    for (uint32_t at = 0; at < VH_OBJECT_MAX; at += VH_CHUNK_MAX)
        chunk(fake, 1, at, large + at, VH_CHUNK_MAX);
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, 1, 0);
    g_assert_cmpmem(fake->object->data, fake->object->len, large, VH_OBJECT_MAX);
    fake_free(fake);
}

static void test_bad_chunks(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_load l = load_of("a", object, sizeof(object), 0);

    chunk(fake, 9, 0, object, 5);
    expect_answer(fake, 9, EPROTO); /* without its LOAD */
    request(fake, VH_LOAD, 1, &l, sizeof(l));
    chunk(fake, 1, 5, object, 5);
    g_assert_nonnull(strstr(expect_answer(fake, 1, EPROTO), "offset 5"));
    request(fake, VH_LOAD, 2, &l, sizeof(l));
    chunk(fake, 2, 0, object, 10);
    chunk(fake, 2, 0, object, 10);
    expect_answer(fake, 2, EPROTO);
    request(fake, VH_LOAD, 3, &l, sizeof(l));
    chunk(fake, 3, 0, object, 10);
    chunk(fake, 3, 10, object, sizeof(object)); /* passes the end */
    expect_answer(fake, 3, EPROTO);
    request(fake, VH_LOAD, 4, &l, sizeof(l));
    request(fake, VH_CHUNK, 4, object, 3);
    expect_answer(fake, 4, EBADMSG);
    l.digest[0] ^= 1;
    request(fake, VH_LOAD, 5, &l, sizeof(l));
    chunk(fake, 5, 0, object, sizeof(object));
    g_assert_nonnull(strstr(expect_answer(fake, 5, EBADMSG), "SHA-256"));
    g_assert_cmpuint(fake->loads, ==, 0);
    load_good(fake, 6, "a", 0);
    fake_free(fake);
}

static void test_load_given_up(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_load l = load_of("a", object, sizeof(object), 0);

    request(fake, VH_LOAD, 1, &l, sizeof(l));
    chunk(fake, 1, 0, object, 10);
    load(fake, 2, "b", 0);
    expect_answer(fake, 1, ECANCELED);
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, 2, 0);
    g_assert_cmpuint(fake->loads, ==, 1);
    fake_free(fake);
}

static void test_truncated_by_disconnect(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_load l = load_of("a", object, sizeof(object), 0);

    request(fake, VH_LOAD, 1, &l, sizeof(l));
    chunk(fake, 1, 0, object, 10);
    vh_session_close(&fake->session);
    vh_session_open(&fake->session, GUEST);
    expect_hello(fake, 0);
    hello(fake, HOST + 1, GUEST, 1, 1000);
    expect_hello(fake, HOST + 1);
    expect(fake, VH_CPUS, 0);
    expect(fake, VH_PROGRAMS, 0);
    chunk(fake, 1, 10, object + 10, sizeof(object) - 10);
    expect_answer(fake, 1, EPROTO);
    g_assert_cmpuint(fake->loads, ==, 0);
    fake_free(fake);
}

static void test_too_many(void)
{
    struct fake *fake = fake_up(1000);

    for (uint32_t i = 0; i < VH_PROGRAMS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);

        load_good(fake, 1 + i, name, 0);
    }
    load(fake, 100, "more", VH_LOAD_REPLACE);
    expect_answer(fake, 100, ENOSPC);
    load_good(fake, 101, "p3", VH_LOAD_REPLACE);
    fake_free(fake);
}

static void test_unload(void)
{
    struct fake *fake = fake_up(1000);
    struct vh_unload unload = {.name = "a"};

    load_good(fake, 1, "a", 0);
    request(fake, VH_UNLOAD, 2, &unload, sizeof(unload));
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, 2, 0);
    request(fake, VH_UNLOAD, 4, &unload, 3);
    expect_answer(fake, 4, EBADMSG);
    fake_free(fake);
}

/* Bytes of every size, rubbish, halves of frames: the next good frame is understood. */
static void test_rubbish(void)
{
    struct fake *fake = fake_up(1000);
    uint8_t rubbish[3000];
    uint8_t wire[64];
    long size = vh_frame_encode(wire, sizeof(wire), VH_LIST, 1, 5, NULL, 0);

    for (size_t i = 0; i < sizeof(rubbish); i++)
        rubbish[i] = (uint8_t)(i * i >> 3);
    for (size_t piece = 1; piece < 9; piece++) {
        feed(fake, rubbish, sizeof(rubbish), piece);
        feed(fake, wire, (size_t)size / 2, piece); /* died in the middle */
        feed(fake, (const uint8_t *)"", 1, 1);
        send_pieces(fake, VH_LIST, 1, 6, NULL, 0, piece);
        expect(fake, VH_CPUS, 0);
        expect(fake, VH_PROGRAMS, 0);
        expect_answer(fake, 6, 0);
        expect_nothing(fake);
    }
    request(fake, (enum vh_type)200, 7, NULL, 0);
    request(fake, VH_HINTS, 7, rubbish, 40); /* the wrong way round */
    expect_nothing(fake);
    fake_free(fake);
}

/* The records of a snapshot's parts, which must be FIRST to LAST; stops before anything else. */
static uint32_t take_snapshot(struct fake *fake, uint32_t id, uint32_t program, bool *complete)
{
    uint32_t records = 0;
    struct vh_batch batch;
    struct vh_records r;

    *complete = false;
    for (bool first = true; !*complete; first = false) {
        struct got *got = expect(fake, VH_SNAPSHOT, id);

        g_assert_cmpint(vh_msg_batch(&got->frame, &batch, &r), ==, 0);
        g_assert_cmpuint(batch.program, ==, program);
        g_assert_cmpuint(batch.seq, ==, 5);
        g_assert_cmpuint(batch.lost, ==, 2);
        g_assert_true(first == ((batch.flags & VH_SNAPSHOT_FIRST) != 0));
        records += batch.count;
        *complete = batch.flags & VH_SNAPSHOT_LAST;
        vh_session_pump(&fake->session);
    }
    return records;
}

static void test_resync(void)
{
    struct fake *fake = fake_up(1u << 20);
    struct vh_resync resync = {.program = 0};
    bool complete;

    request(fake, VH_RESYNC, 1, &resync, sizeof(resync));
    expect_answer(fake, 1, 0); /* there are no programs */
    load_good(fake, 2, "a", 0);
    load_good(fake, 3, "b", 0);
    request(fake, VH_RESYNC, 4, &resync, sizeof(resync));
    g_assert_cmpuint(take_snapshot(fake, 4, 1, &complete), ==, 0); /* empty, and said so */
    g_assert_cmpuint(take_snapshot(fake, 4, 2, &complete), ==, 0);
    expect_answer(fake, 4, 0);
    fake->facts = 5000;
    resync.program = 2;
    request(fake, VH_RESYNC, 5, &resync, sizeof(resync));
    g_assert_cmpuint(take_snapshot(fake, 5, 2, &complete), ==, 5000);
    expect_answer(fake, 5, 0);
    resync.program = 9;
    request(fake, VH_RESYNC, 6, &resync, sizeof(resync));
    expect_answer(fake, 6, ENOENT);
    expect_nothing(fake);
    fake_free(fake);
}

/* More than the way out and the credit hold: it goes on as both come back, and no hint slips in between. */
static void test_snapshot_waits(void)
{
    struct fake *fake = fake_up(100000);
    struct vh_resync resync = {0};
    struct vh_credit credit = {.bytes = 200000};
    uint32_t records = 0;
    struct got got;

    load_good(fake, 1, "a", 0);
    g_assert_cmpuint(vh_session_room(&fake->session), >, 0);
    fake->facts = 10000; /* 320,000 bytes */
    request(fake, VH_RESYNC, 2, &resync, sizeof(resync));
    g_assert_cmpuint(vh_session_room(&fake->session), ==, 0);
    for (int part = 0; part < 50; part++) {
        struct vh_batch batch;
        struct vh_records r;

        if (!next(fake, &got)) {
            request(fake, VH_CREDIT, 0, &credit, sizeof(credit));
            continue;
        }
        if (got.frame.type == VH_ANSWER)
            break;
        g_assert_cmpint(vh_msg_batch(&got.frame, &batch, &r), ==, 0);
        records += batch.count;
        if (!(batch.flags & VH_SNAPSHOT_LAST))
            g_assert_cmpuint(vh_session_room(&fake->session), ==, 0);
        vh_session_pump(&fake->session);
    }
    g_assert_cmpuint(records, ==, 10000);
    g_assert_cmpuint(got.frame.type, ==, VH_ANSWER);
    g_assert_cmpuint(vh_session_room(&fake->session), >, 0);
    fake_free(fake);
}

static void test_unloaded_amid_snapshots(void)
{
    struct fake *fake = fake_up(100); /* one small part at a time */
    struct vh_resync all = {0};
    struct vh_resync second = {.program = 2};
    struct vh_unload unload = {.name = "b"};
    struct vh_credit credit = {.bytes = 100000};

    load_good(fake, 1, "a", 0);
    load_good(fake, 2, "b", 0);
    fake->facts = 100;
    request(fake, VH_RESYNC, 3, &all, sizeof(all));
    request(fake, VH_RESYNC, 4, &second, sizeof(second));
    expect(fake, VH_SNAPSHOT, 3);
    request(fake, VH_UNLOAD, 5, &unload, sizeof(unload));
    expect(fake, VH_PROGRAMS, 0);
    expect_answer(fake, 5, 0);
    request(fake, VH_CREDIT, 0, &credit, sizeof(credit));
    expect(fake, VH_SNAPSHOT, 3);
    expect_answer(fake, 3, 0); /* those that are left */
    expect_answer(fake, 4, ENOENT);
    expect_nothing(fake);
    fake_free(fake);
}

static void test_too_many_snapshots(void)
{
    struct fake *fake = fake_up(0);
    struct vh_resync resync = {.program = 1};
    uint32_t id;

    load_good(fake, 1, "a", 0);
    for (id = 2; id < 200; id++)
        request(fake, VH_RESYNC, id, &resync, sizeof(resync));
    expect_answer(fake, 2 + VH_DUE_MAX - VH_PROGRAMS_MAX + 1, EBUSY);
    fake_free(fake);
}

static void test_hints_and_credit(void)
{
    struct fake *fake = fake_up(100);
    uint8_t record[32] = {28, 0, 1, 0, 4, 0};
    struct vh_batch batch = {.program = 1, .count = 1};
    struct vh_credit credit = {.bytes = 32};

    g_assert_cmpuint(vh_session_room(&fake->session), ==, 100 - sizeof(batch));
    vh_session_hints(&fake->session, &batch, record, sizeof(record));
    expect(fake, VH_HINTS, 0);
    g_assert_cmpuint(vh_session_room(&fake->session), ==, 36 - sizeof(batch));
    vh_session_hints(&fake->session, &batch, NULL, 0);
    g_assert_cmpuint(vh_session_room(&fake->session), ==, 0);
    request(fake, VH_CREDIT, 0, &credit, sizeof(credit));
    g_assert_cmpuint(vh_session_room(&fake->session), ==, 36 - sizeof(batch));
    vh_session_close(&fake->session);
    g_assert_cmpuint(vh_session_room(&fake->session), ==, 0);
    fake_free(fake);
}

/* A host that asks without reading: what is asked beyond the bound waits, nothing is answered twice or lost. */
static void test_answers_not_read(void)
{
    struct fake *fake = fake_up(1000);
    uint8_t wire[64];
    size_t size = (size_t)vh_frame_encode(wire, sizeof(wire), VH_LIST, 1, 5, NULL, 0);
    g_autofree uint8_t *asked = g_malloc(size * 20000);
    size_t answers = 0;
    size_t taken = 0;
    size_t waiting;
    struct got got;

    for (size_t i = 0; i < 20000; i++)
        memcpy(asked + size * i, wire, size);
    while (taken < size * 20000) {
        size_t now = vh_session_input(&fake->session, asked + taken, size * 20000 - taken);

        vh_out_waiting(&fake->session.out, &waiting);
        g_assert_cmpuint(waiting, <, VH_OUT_FULL + 8192);
        g_assert_true(now > 0 || waiting > VH_OUT_FULL);
        taken += now;
        while (next(fake, &got))
            answers += got.frame.type == VH_ANSWER;
    }
    g_assert_cmpuint(answers, ==, 20000);
    fake_free(fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/greeting", test_greeting);
    g_test_add_func("/session/wrong-version", test_wrong_version);
    g_test_add_func("/session/before-the-greeting", test_before_the_greeting);
    g_test_add_func("/session/list-and-ping", test_list_and_ping);
    g_test_add_func("/session/load", test_load);
    g_test_add_func("/session/load-tunables", test_load_tunables);
    g_test_add_func("/session/load-refused", test_load_refused);
    g_test_add_func("/session/load-sizes", test_load_sizes);
    g_test_add_func("/session/largest-object", test_largest_object);
    g_test_add_func("/session/bad-chunks", test_bad_chunks);
    g_test_add_func("/session/load-given-up", test_load_given_up);
    g_test_add_func("/session/truncated-by-disconnect", test_truncated_by_disconnect);
    g_test_add_func("/session/too-many", test_too_many);
    g_test_add_func("/session/unload", test_unload);
    g_test_add_func("/session/rubbish", test_rubbish);
    g_test_add_func("/session/resync", test_resync);
    g_test_add_func("/session/snapshot-waits", test_snapshot_waits);
    g_test_add_func("/session/unloaded-amid-snapshots", test_unloaded_amid_snapshots);
    g_test_add_func("/session/too-many-snapshots", test_too_many_snapshots);
    g_test_add_func("/session/hints-and-credit", test_hints_and_credit);
    g_test_add_func("/session/answers-not-read", test_answers_not_read);
    return g_test_run();
}
