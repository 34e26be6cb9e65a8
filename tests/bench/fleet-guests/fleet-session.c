/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for an injector: the guest's side of protocol/PROTOCOL.md, with one program whose hints
 * are made up.
 */
#include <errno.h>
#include <string.h>

#include "fleet.h"

static void send_frame(struct fleet_guest *guest, enum vh_type type, uint32_t id,
                       const struct iovec *parts, int count)
{
    size_t len = 0;
    guint before = guest->output->len;
    long done = 0;

    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    g_byte_array_set_size(guest->output, before + (guint)VH_FRAME_ENCODED(len));
    done = vh_frame_encode(guest->output->data + before, VH_FRAME_ENCODED(len), type,
                           type == VH_HELLO ? 0 : VH_WIRE_MAX, id, parts, count);
    if (done < 0)
        fleet_die("a frame is too long");
    g_byte_array_set_size(guest->output, before + (guint)done);
}

static void send_one(struct fleet_guest *guest, enum vh_type type, uint32_t id, const void *payload,
                     size_t len)
{
    struct iovec part = {(void *)payload, len};

    send_frame(guest, type, id, &part, 1);
}

void fleet_session_begin(struct fleet_guest *guest)
{
    vh_decoder_reset(&guest->decoder);
    g_byte_array_set_size(guest->output, 0);
    randombytes_buf(&guest->session, sizeof(guest->session));
    guest->session |= 1;
    guest->peer = 0;
    guest->up = false;
    guest->adopted = false;
    guest->load_id = 0;
}

static void send_programs(struct fleet_guest *guest)
{
    struct vh_programs head = {.count = guest->has_program};
    struct iovec parts[] = {{&head, sizeof(head)}, {&guest->program, sizeof(guest->program)}};

    guest->program.seq = guest->seq;
    send_frame(guest, VH_PROGRAMS, 0, parts, guest->has_program ? 2 : 1);
}

static void send_cpus(struct fleet_guest *guest)
{
    struct vh_cpus head = {.count = guest->vcpus};
    struct vh_cpu cpus[FLEET_VCPUS_MAX];
    struct iovec parts[] = {{&head, sizeof(head)}, {cpus, guest->vcpus * sizeof(cpus[0])}};

    for (unsigned i = 0; i < guest->vcpus; i++)
        cpus[i] = (struct vh_cpu){.cpu = i, .apic_id = 2 * i + 2, .flags = VH_CPU_ONLINE};
    send_frame(guest, VH_CPUS, 0, parts, 2);
}

static void take_hello(struct fleet_guest *guest, const struct vh_frame *frame)
{
    struct vh_hello hello;
    struct vh_hello mine = {.magic = VH_HELLO_MAGIC,
                            .version_min = VH_WIRE_MIN,
                            .version_max = VH_WIRE_MAX,
                            .session = guest->session,
                            .role = VH_ROLE_GUEST,
                            .release = "6.1.0-simulated",
                            .agent = "fleet"};

    if (vh_msg_hello(frame, &hello) < 0)
        return;
    if (hello.session != guest->peer) {
        guest->peer = hello.session;
        guest->credit = hello.credit;
        guest->adopted = false;
    }
    guest->up = hello.peer == guest->session;
    if (guest->up)
        return;
    mine.peer = hello.session;
    memcpy(mine.boot_id, &guest->number, sizeof(guest->number));
    send_one(guest, VH_HELLO, 0, &mine, sizeof(mine));
    send_cpus(guest);
    send_programs(guest);
}

static void send_answer(struct fleet_guest *guest, uint32_t id, uint32_t error, uint32_t program)
{
    struct vh_answer answer = {.error = error, .program = program};

    send_one(guest, VH_ANSWER, id, &answer, sizeof(answer));
}

static void take_load(struct fleet_guest *guest, const struct vh_frame *frame)
{
    const char *tunables = NULL;

    if (vh_msg_load(frame, &guest->load, &tunables) < 0)
        return;
    guest->load_id = frame->id;
    guest->loaded = 0;
    crypto_hash_sha256_init(&guest->digest);
}

static void take_chunk(struct fleet *fleet, struct fleet_guest *guest, const struct vh_frame *frame)
{
    struct vh_chunk chunk;
    const uint8_t *data = NULL;
    uint32_t len = 0;
    uint8_t digest[VH_DIGEST_SIZE];

    if (vh_msg_chunk(frame, &chunk, &data, &len) < 0 || frame->id != guest->load_id ||
        chunk.offset != guest->loaded)
        return;
    crypto_hash_sha256_update(&guest->digest, data, len);
    guest->loaded += len;
    if (guest->loaded < guest->load.size)
        return;
    crypto_hash_sha256_final(&guest->digest, digest);
    if (memcmp(digest, guest->load.digest, sizeof(digest)) != 0) {
        send_answer(guest, frame->id, EBADMSG, 0);
        return;
    }
    guest->has_program = true;
    guest->program = (struct vh_program){
        .id = FLEET_PROGRAM_ID, .flags = VH_PROGRAM_HINTS | VH_PROGRAM_STATE, .attached = 1};
    memcpy(guest->program.name, guest->load.name, sizeof(guest->program.name));
    memcpy(guest->program.digest, digest, sizeof(digest));
    fleet->loads++;
    send_programs(guest);
    send_answer(guest, frame->id, 0, FLEET_PROGRAM_ID);
}

static void fill(struct fleet_hint *hint, uint32_t pid, int cpu)
{
    *hint =
        (struct fleet_hint){.h = {.size = sizeof(*hint), .kind = 1, .key_size = sizeof(hint->pid)},
                            .pid = pid,
                            .tgid = pid,
                            .cpus = 1,
                            .comm = "worker"};
    if (cpu >= 0)
        hint->mask[0] = (uint64_t)1 << cpu;
    else
        hint->h.flags = VH_HINT_GONE;
}

static void take_resync(struct fleet_guest *guest, const struct vh_frame *frame)
{
    struct fleet_hint facts[FLEET_FACTS];
    struct vh_batch batch = {.program = FLEET_PROGRAM_ID,
                             .count = FLEET_FACTS,
                             .seq = guest->seq,
                             .flags = VH_SNAPSHOT_FIRST | VH_SNAPSHOT_LAST};
    struct iovec parts[] = {{&batch, sizeof(batch)}, {facts, sizeof(facts)}};

    for (unsigned i = 0; i < FLEET_FACTS; i++)
        fill(&facts[i], 1000 + i, 0);
    guest->credit -= (int64_t)(sizeof(batch) + sizeof(facts));
    send_frame(guest, VH_SNAPSHOT, frame->id, parts, 2);
    send_answer(guest, frame->id, 0, 0);
    guest->adopted = true;
}

static void take_ping(struct fleet_guest *guest, const struct vh_frame *frame)
{
    struct vh_ping ping;
    struct vh_pong pong = {0};
    struct iovec part = {&pong, sizeof(pong)};

    if (vh_msg_ping(frame, &ping))
        return;
    pong.host_ns = ping.host_ns;
    send_frame(guest, VH_PONG, frame->id, &part, 1);
}

static void take(struct fleet *fleet, struct fleet_guest *guest, const struct vh_frame *frame)
{
    struct vh_credit credit;

    switch (frame->type) {
    case VH_HELLO:
        take_hello(guest, frame);
        break;
    case VH_LOAD:
        take_load(guest, frame);
        break;
    case VH_CHUNK:
        take_chunk(fleet, guest, frame);
        break;
    case VH_RESYNC:
        take_resync(guest, frame);
        break;
    case VH_CREDIT:
        if (vh_msg_credit(frame, &credit) == 0)
            guest->credit += credit.bytes;
        break;
    case VH_PING:
        take_ping(guest, frame);
        break;
    default:
        break;
    }
}

void fleet_session_input(struct fleet *fleet, struct fleet_guest *guest, const uint8_t *bytes,
                         size_t len)
{
    struct vh_frame frame;

    while (vh_decoder_feed(&guest->decoder, &bytes, &len, &frame) == 1)
        take(fleet, guest, &frame);
}

void fleet_hint(struct fleet_guest *guest, unsigned key, int cpu)
{
    struct vh_batch batch = {.program = FLEET_PROGRAM_ID, .count = 1, .seq = guest->seq++};
    struct fleet_hint hint;
    struct iovec parts[] = {{&batch, sizeof(batch)}, {&hint, sizeof(hint)}};

    fill(&hint, 2000 + key, cpu);
    guest->credit -= (int64_t)(sizeof(batch) + sizeof(hint));
    send_frame(guest, VH_HINTS, 0, parts, 2);
}

long fleet_encode_batch(struct fleet_guest *guest, unsigned count, uint8_t *out, size_t size)
{
    static struct fleet_hint hints[FLEET_BATCH];
    struct vh_batch batch = {.program = FLEET_PROGRAM_ID, .count = count, .seq = guest->seq};
    struct iovec parts[] = {{&batch, sizeof(batch)}, {hints, count * sizeof(hints[0])}};

    /* Every task changes its CPU each time it is spoken of. */
    for (unsigned i = 0; i < count; i++, guest->swing++)
        fill(&hints[i], 2000 + guest->swing % FLEET_KEYS,
             (int)(guest->swing / FLEET_KEYS % guest->vcpus));
    guest->seq += count;
    return vh_frame_encode(out, size, VH_HINTS, VH_WIRE_MAX, 0, parts, 2);
}

bool fleet_batch(struct fleet_guest *guest, unsigned count)
{
    size_t payload = sizeof(struct vh_batch) + count * sizeof(struct fleet_hint);
    long len = 0;

    if (!guest->up || guest->output->len || guest->credit < (int64_t)payload)
        return false;
    guest->credit -= (int64_t)payload;
    g_byte_array_set_size(guest->output, (guint)VH_FRAME_ENCODED(payload));
    len = fleet_encode_batch(guest, count, guest->output->data, guest->output->len);
    g_byte_array_set_size(guest->output, (guint)len);
    fleet_flush(guest);
    return true;
}
