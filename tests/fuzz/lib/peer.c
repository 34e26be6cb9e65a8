/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/peer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fake-object.h"

static const char *const names[] = {"affinity", "stranger", "nobody's", "other"};

void peer_begin(struct peer *peer)
{
    *peer = (struct peer){.fd = -1, .buffer = g_malloc(VH_DECODER_BUFFER)};
    vh_decoder_init(&peer->decoder, peer->buffer);
}

void peer_end(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    g_free(peer->buffer);
}

int peer_open(struct peer *peer)
{
    int fds[2];

    g_assert(peer->fd < 0);
    g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    peer->fd = fds[0];
    peer->count = 0;
    vh_decoder_reset(&peer->decoder);
    return fds[1];
}

void peer_hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

static void note(struct peer *peer, const struct vh_frame *frame)
{
    struct vh_hello hello;

    if (frame->type == VH_HELLO) {
        g_assert(vh_msg_hello(frame, &hello) == 0);
        peer->host = hello.session;
        peer->count = 0;
    } else if (frame->id && frame->type != VH_CHUNK) {
        g_assert(peer->count < PEER_ASKED_MAX);
        peer->asked[peer->count].id = frame->id;
        peer->asked[peer->count++].type = frame->type;
    }
}

void peer_hear(struct peer *peer)
{
    uint8_t bytes[4096];
    struct vh_frame frame;
    ssize_t len;

    while (peer->fd >= 0 && !peer->deaf && (len = recv(peer->fd, bytes, sizeof(bytes), 0)) > 0) {
        const uint8_t *at = bytes;
        size_t left = (size_t)len;

        while (vh_decoder_feed(&peer->decoder, &at, &left, &frame) == 1)
            note(peer, &frame);
    }
    g_assert(peer->decoder.counters.bad == 0);
}

static void put(struct peer *peer, const void *bytes, size_t len)
{
    if (peer->fd >= 0)
        (void)!send(peer->fd, bytes, len, MSG_NOSIGNAL);
}

static void say(struct peer *peer, enum vh_type type, uint32_t id, const void *a, size_t a_len,
                const void *b, size_t b_len)
{
    static uint8_t out[VH_FRAME_ENCODED(VH_PAYLOAD_MAX)];
    struct iovec parts[] = {{(void *)a, a_len}, {(void *)b, b_len}};
    long len =
        vh_frame_encode(out, sizeof(out), type, type == VH_HELLO ? 0 : VH_WIRE_MAX, id, parts, 2);

    if (len > 0)
        put(peer, out, (size_t)len);
}

static void say_hello(struct peer *peer, struct script *script)
{
    uint8_t what = script_byte(script);
    const struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                                   .version_min = 1,
                                   .version_max = 1,
                                   .session = 1u + what % 8,
                                   .peer = what / 8 % 8 ? peer->host : what / 64,
                                   .role = VH_ROLE_GUEST,
                                   .boot_id = {what / 64},
                                   .release = "6.1",
                                   .agent = "fuzz"};

    say(peer, VH_HELLO, 0, &hello, sizeof(hello), NULL, 0);
}

static void say_cpus(struct peer *peer, struct script *script)
{
    struct vh_cpus head = {.count = script_byte(script) % 8};
    struct vh_cpu cpus[8];

    for (uint32_t i = 0; i < head.count; i++) {
        uint8_t what = script_byte(script);

        cpus[i] = (struct vh_cpu){
            .cpu = i + what / 64, .apic_id = what % 8, .flags = what & 32 ? 0 : VH_CPU_ONLINE};
    }
    say(peer, VH_CPUS, 0, &head, sizeof(head), cpus, head.count * sizeof(cpus[0]));
}

static void say_programs(struct peer *peer, struct script *script)
{
    struct vh_programs head = {.count = script_byte(script) % 5};
    struct vh_program programs[4] = {{0}};

    for (uint32_t i = 0; i < head.count; i++) {
        uint8_t what = script_byte(script);

        programs[i] =
            (struct vh_program){.id = 1 + what % 8,
                                .flags = VH_PROGRAM_HINTS | (what & 64 ? 0 : VH_PROGRAM_STATE),
                                .attached = 1,
                                .seq = what & 128 ? script_byte(script) : peer->seq,
                                .lost = what & 128 ? script_byte(script) : 0,
                                .digest = {what & 32 ? 1 : 0}};
        g_strlcpy(programs[i].name, names[what / 8 % 4], VH_NAME_SIZE);
    }
    say(peer, VH_PROGRAMS, 0, &head, sizeof(head), programs, head.count * sizeof(programs[0]));
}

static void say_answer(struct peer *peer, struct script *script)
{
    uint8_t which = script_byte(script);
    uint8_t what = script_byte(script);
    uint32_t id = which;
    struct vh_answer answer = {.error = what / 16, .program = what % 8};
    size_t len = what >= 128 ? script_byte(script) : 0;
    const uint8_t *text = script_bytes(script, &len);

    if (peer->count && which < 240) {
        which = (uint8_t)(peer->count - 1 - which % peer->count);
        id = peer->asked[which].id;
        memmove(&peer->asked[which], &peer->asked[which + 1],
                (--peer->count - which) * sizeof(peer->asked[0]));
    }
    answer.text_len = (uint32_t)len / 2;
    answer.log_len = (uint32_t)len - answer.text_len;
    say(peer, VH_ANSWER, id, &answer, sizeof(answer), text, len);
}

/* A record of the affinity program or the stranger, or any; padded. */
static size_t make_record(uint8_t *out, struct script *script)
{
    uint8_t what = script_byte(script);
    uint8_t key = script_byte(script);
    uint8_t value = script_byte(script);
    struct fake_affinity affinity = {.h = fake_hint(sizeof(affinity), 1, 4),
                                     .pid = key % 16u,
                                     .cpus = (uint32_t)__builtin_popcount(value),
                                     .mask = {value},
                                     .comm = "task"};
    struct fake_stranger stranger = {.h = fake_hint(sizeof(stranger), 7, what & 64 ? 4 : 0),
                                     .worker = key % 16u,
                                     .home = (int8_t)value,
                                     .ready = value % 2};
    struct vh_hint *head = (struct vh_hint *)(void *)out;
    size_t len = 64;

    memset(out, 0, 256);
    if (what % 4 < 2) {
        memcpy(out, &affinity, sizeof(affinity));
    } else if (what % 4 == 2) {
        memcpy(out, &stranger, sizeof(stranger));
    } else {
        const uint8_t *bytes = script_bytes(script, &len);

        memcpy(out, bytes, len);
        head->size = (uint16_t)MAX(len, sizeof(*head));
    }
    head->flags = what & 128 ? VH_HINT_GONE : 0;
    return (head->size + 7u) / 8 * 8;
}

static void say_records(struct peer *peer, struct script *script, enum vh_type type)
{
    static uint64_t room[8 * 256 / 8];
    uint8_t *records = (uint8_t *)room;
    uint8_t what = script_byte(script);
    struct vh_batch batch = {.program = 1 + what % 8,
                             .count = what / 8 % 8,
                             .seq = what & 128 ? script_byte(script) : peer->seq,
                             .lost = what & 128 ? script_byte(script) : 0,
                             .flags = type == VH_SNAPSHOT ? script_byte(script) % 4u : 0};
    uint32_t id = 0;
    size_t len = 0;

    for (uint32_t i = 0; i < batch.count; i++)
        len += make_record(records + len, script);
    for (unsigned i = 0; type == VH_SNAPSHOT && i < peer->count; i++)
        if (peer->asked[i].type == VH_RESYNC)
            id = peer->asked[i].id;
    say(peer, type, id, &batch, sizeof(batch), records, len);
    peer->seq = batch.seq + (type == VH_HINTS ? batch.count : 0);
}

static void say_trouble(struct peer *peer, struct script *script)
{
    uint8_t what = script_byte(script);
    size_t len = what / 8;
    const uint8_t *text = script_bytes(script, &len);
    struct vh_trouble trouble = {.program = 1 + what % 8, .text_len = (uint32_t)len};

    say(peer, VH_TROUBLE, 0, &trouble, sizeof(trouble), text, len);
}

/* Any payload, of any type. */
static void say_frame(struct peer *peer, struct script *script)
{
    uint8_t type = script_byte(script);
    size_t len = script_byte(script);
    const uint8_t *payload = script_bytes(script, &len);

    say(peer, (enum vh_type)(type % 40), type / 40, payload, len, NULL, 0);
}

void peer_say(struct peer *peer, struct script *script)
{
    uint8_t what = script_byte(script);
    size_t len = what;

    switch (what % 9) {
    case 0:
        say_hello(peer, script);
        break;
    case 1:
        say_cpus(peer, script);
        break;
    case 2:
        say_programs(peer, script);
        break;
    case 3:
        say_answer(peer, script);
        break;
    case 4:
        say_records(peer, script, VH_HINTS);
        break;
    case 5:
        say_records(peer, script, VH_SNAPSHOT);
        break;
    case 6:
        say_trouble(peer, script);
        break;
    case 7:
        say_frame(peer, script);
        break;
    default: {
        const uint8_t *bytes = script_bytes(script, &len);

        put(peer, bytes, len);
    }
    }
}
