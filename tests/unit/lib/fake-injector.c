/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fake-injector.h"

#include <errno.h>
#include <sodium/crypto_hash_sha256.h>
#include <string.h>

static void on_opened(void *context)
{
    ((struct fake *)context)->opened++;
}

static int run_load(struct fake *fake, const struct vh_load *load, struct vh_reply *reply)
{
    if (fake->load_error) {
        g_strlcpy(reply->text, "refused", sizeof(reply->text));
        reply->log_len = VH_LOG_MAX + 10;
        reply->log = malloc(reply->log_len);
        memset(reply->log, 'x', reply->log_len);
        memcpy(reply->log + reply->log_len - 3, "end", 3);
        return fake->load_error;
    }
    for (uint32_t i = 0; i < fake->count; i++) {
        if (strcmp(fake->programs[i].name, load->name) == 0)
            fake->programs[i] = fake->programs[--fake->count];
    }
    fake->programs[fake->count] =
        (struct vh_program){.id = ++fake->last_id, .flags = VH_PROGRAM_STATE};
    memcpy(fake->programs[fake->count].name, load->name, VH_NAME_SIZE);
    reply->program = fake->programs[fake->count++].id;
    vh_session_send_programs(&fake->session);
    return 0;
}

static void finish_load(struct fake *fake, struct vh_ticket ticket, const struct vh_load *load)
{
    struct vh_reply reply = {0};
    int error = -ECANCELED;

    if (vh_session_waits(&fake->session, ticket))
        error = run_load(fake, load, &reply);
    vh_session_done(&fake->session, ticket, error, &reply);
    if (error == 0)
        fake->loaded = reply.program;
}

static void on_load(void *context, struct vh_ticket ticket, struct vh_transfer *transfer)
{
    struct fake *fake = context;

    fake->loads++;
    g_byte_array_set_size(fake->object, 0);
    g_byte_array_append(fake->object, transfer->object, transfer->load.size);
    g_free(fake->tunables);
    fake->tunables = g_memdup2(transfer->tunables, transfer->load.tunables_len + 1);
    if (fake->slow) {
        fake->load_ticket = ticket;
        fake->load = transfer->load;
        return;
    }
    finish_load(fake, ticket, &transfer->load);
}

void fake_finish_load(struct fake *fake)
{
    finish_load(fake, fake->load_ticket, &fake->load);
}

static int run_unload(struct fake *fake, const char *name)
{
    for (uint32_t i = 0; i < fake->count; i++) {
        if (strcmp(fake->programs[i].name, name) == 0) {
            fake->programs[i] = fake->programs[--fake->count];
            vh_session_send_programs(&fake->session);
            return 0;
        }
    }
    return -ENOENT;
}

static void on_unload(void *context, struct vh_ticket ticket, const char *name)
{
    struct fake *fake = context;
    struct vh_reply reply = {0};
    int error = run_unload(fake, name);

    vh_session_done(&fake->session, ticket, error, &reply);
}

static const char *on_trouble(void *context, uint32_t program)
{
    struct fake *fake = context;

    return fake->trouble && program == fake->troubled ? fake->trouble : "";
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

void fake_finish_facts(struct fake *fake, struct vh_ticket ticket, uint32_t program)
{
    struct vh_hint hint = {.size = 28, .kind = 1, .key_size = 4};
    struct vh_facts facts = {.error = fake->facts_error, .seq = 5, .lost = 2};
    bool known = false;

    for (uint32_t i = 0; i < fake->count; i++)
        known |= fake->programs[i].id == program;
    if (!known)
        facts.error = -ENOENT;
    g_strlcpy(facts.text, facts.error ? "why" : "", sizeof(facts.text));
    if (facts.error != -ENOENT) {
        facts.len = fake->facts * 32u;
        facts.records = calloc(facts.len + 1, 1);
    }
    for (uint32_t i = 0; facts.records && i < fake->facts; i++) {
        memcpy(facts.records + 32u * i, &hint, sizeof(hint));
        memcpy(facts.records + 32u * i + sizeof(hint), &i, sizeof(i));
    }
    vh_session_facts(&fake->session, ticket, program, &facts);
}

static void on_facts(void *context, struct vh_ticket ticket, uint32_t program)
{
    struct fake *fake = context;

    if (fake->slow) {
        g_assert_cmpuint(fake->asked_count, <, G_N_ELEMENTS(fake->asked));
        fake->asked[fake->asked_count++] = (struct fake_asked){ticket, program};
        return;
    }
    fake_finish_facts(fake, ticket, program);
}

static uint64_t on_now(void *context)
{
    (void)context;
    return 99;
}

static const struct vh_session_ops ops = {on_opened,  on_load, on_unload, on_programs,
                                          on_trouble, on_cpus, on_facts,  on_now};

struct fake *fake_new(void)
{
    struct fake *fake = g_new0(struct fake, 1);
    struct vh_hello self = {.release = "test", .agent = "test"};

    fake->object = g_byte_array_new();
    g_assert_cmpint(vh_session_init(&fake->session, &self, &ops, fake), ==, 0);
    return fake;
}

void fake_free(struct fake *fake)
{
    vh_session_free(&fake->session);
    g_byte_array_unref(fake->object);
    g_free(fake->tunables);
    g_free(fake);
}

void fake_feed(struct fake *fake, const uint8_t *bytes, size_t len, size_t piece)
{
    while (len > 0) {
        size_t part = MIN(piece, len);

        g_assert_cmpuint(vh_session_input(&fake->session, bytes, part), ==, part);
        bytes += part;
        len -= part;
    }
}

void fake_send(struct fake *fake, enum vh_type type, uint8_t version, uint32_t id,
               const void *payload, size_t len, size_t piece)
{
    g_autofree uint8_t *wire = g_malloc(VH_FRAME_ENCODED(len));
    struct iovec part = {.iov_base = (void *)payload, .iov_len = len};
    long size = vh_frame_encode(wire, VH_FRAME_ENCODED(len), type, version, id, &part, 1);

    g_assert_cmpint(size, >, 0);
    fake_feed(fake, wire, (size_t)size, piece);
}

void fake_request(struct fake *fake, enum vh_type type, uint32_t id, const void *payload,
                  size_t len)
{
    fake_send(fake, type, 1, id, payload, len, SIZE_MAX);
}

bool fake_turn(struct fake *fake)
{
    bool any = false;

    vh_session_pump(&fake->session);
    for (uint32_t i = 0; i < fake->count; i++)
        any |= vh_session_part(&fake->session, fake->programs[i].id);
    return any;
}

bool fake_next(struct fake *fake, struct got *got)
{
    static uint64_t buffer[VH_DECODER_BUFFER / sizeof(uint64_t) + 1];
    struct vh_decoder decoder;
    const uint8_t *bytes;
    const uint8_t *at;
    size_t len;

    while (fake_turn(fake))
        ;
    bytes = at = vh_out_waiting(&fake->session.out, &len);
    vh_decoder_init(&decoder, (uint8_t *)buffer);
    if (vh_decoder_feed(&decoder, &at, &len, &got->frame) != 1)
        return false;
    g_assert_cmpuint(decoder.counters.bad, ==, 0);
    memcpy(got->payload, got->frame.data, got->frame.len);
    got->frame.data = got->payload;
    vh_out_written(&fake->session.out, (size_t)(at - bytes));
    return true;
}

struct got *fake_expect(struct fake *fake, enum vh_type type, uint32_t id)
{
    static struct got got;

    g_assert_true(fake_next(fake, &got));
    g_assert_cmpstr(vh_type_name(got.frame.type), ==, vh_type_name((uint8_t)type));
    g_assert_cmpuint(got.frame.id, ==, id);
    return &got;
}

void fake_expect_nothing(struct fake *fake)
{
    struct got got;

    g_assert_false(fake_next(fake, &got));
}

const char *fake_expect_answer(struct fake *fake, uint32_t id, int error)
{
    static char text[VH_TEXT_MAX + 1];
    struct got *got = fake_expect(fake, VH_ANSWER, id);
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

void fake_hello(struct fake *fake, uint64_t session, uint64_t peer, uint16_t version,
                uint32_t credit)
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

    fake_send(fake, VH_HELLO, 0, 0, &h, sizeof(h), SIZE_MAX);
}

void fake_expect_hello(struct fake *fake, uint64_t peer)
{
    struct got *got = fake_expect(fake, VH_HELLO, 0);
    struct vh_hello h;

    g_assert_cmpint(vh_msg_hello(&got->frame, &h), ==, 0);
    g_assert_cmpuint(h.session, ==, GUEST);
    g_assert_cmpuint(h.peer, ==, peer);
    g_assert_cmpuint(h.role, ==, VH_ROLE_GUEST);
}

void fake_expect_greeting(struct fake *fake, uint64_t host)
{
    fake_expect_hello(fake, host);
    fake_expect(fake, VH_CPUS, 0);
    fake_expect(fake, VH_PROGRAMS, 0);
}

struct fake *fake_up(uint32_t credit)
{
    struct fake *fake = fake_new();

    vh_session_open(&fake->session, GUEST);
    fake_expect_hello(fake, 0);
    fake_hello(fake, HOST, GUEST, 1, credit);
    fake_expect_greeting(fake, HOST);
    fake_expect_nothing(fake);
    return fake;
}

struct vh_load fake_load_of(const char *name, const uint8_t *object, uint32_t size, uint16_t flags)
{
    struct vh_load load = {.size = size, .flags = flags};

    g_strlcpy(load.name, name, sizeof(load.name));
    crypto_hash_sha256(load.digest, object, size);
    return load;
}

void fake_chunk(struct fake *fake, uint32_t id, uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    g_autofree uint8_t *payload = g_malloc(sizeof(struct vh_chunk) + len);
    struct vh_chunk head = {.offset = offset};

    memcpy(payload, &head, sizeof(head));
    memcpy(payload + sizeof(head), bytes, len);
    fake_request(fake, VH_CHUNK, id, payload, sizeof(head) + len);
}

const uint8_t fake_bytes[FAKE_BYTES] = "an object of some bytes";

void fake_load_first(struct fake *fake, uint32_t id, const char *name, uint16_t flags)
{
    struct vh_load l = fake_load_of(name, fake_bytes, sizeof(fake_bytes), flags);

    fake_request(fake, VH_LOAD, id, &l, sizeof(l));
    fake_chunk(fake, id, 0, fake_bytes, 10);
}

void fake_load_rest(struct fake *fake, uint32_t id)
{
    fake_chunk(fake, id, 10, fake_bytes + 10, sizeof(fake_bytes) - 10);
}

void fake_load(struct fake *fake, uint32_t id, const char *name, uint16_t flags)
{
    fake_load_first(fake, id, name, flags);
    fake_load_rest(fake, id);
}

void fake_load_good(struct fake *fake, uint32_t id, const char *name, uint16_t flags)
{
    fake_load(fake, id, name, flags);
    fake_expect(fake, VH_PROGRAMS, 0);
    fake_expect_answer(fake, id, 0);
    fake_expect_nothing(fake);
}
