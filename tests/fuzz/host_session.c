/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's side of a session against any peer: host/channel/session.c.
 *
 * The input is a script: raw bytes as they might arrive, frames that decode (so that the fuzzer
 * need not find CRCs) with any payload, a queue that fills and drains, requests, restarts. Checked:
 * nothing is sent beyond the room there is, nothing of a session is told outside of it, every
 * request is answered exactly once, unless it is forgotten or withdrawn: then never. What is kept
 * stays within its bounds. */
#include <glib.h>
#include <string.h>

#include "channel/state.h"

#define HOST 0x1111u

/* What is left of the script. */
struct script {
    const uint8_t *at;
    size_t left;
};

struct asked {
    uint32_t id;
    bool done; /* answered, or forgotten */
};

struct peer {
    VhSession *session;
    size_t room;
    bool up;
    unsigned begins; /* sessions that may */
    struct asked asked[2 * VH_SESSION_OWED];
    unsigned count;
};

static uint8_t take(struct script *script)
{
    if (!script->left)
        return 0;
    script->left--;
    return *script->at++;
}

static const uint8_t *take_bytes(struct script *script, size_t *len)
{
    const uint8_t *at = script->at;

    *len = MIN(*len, script->left);
    script->at += *len;
    script->left -= *len;
    return at;
}

static size_t on_room(gpointer data)
{
    return ((struct peer *)data)->room;
}

static void on_send(G_GNUC_UNUSED const uint8_t *bytes, size_t len, gpointer data)
{
    struct peer *peer = data;

    g_assert(len <= peer->room);
    peer->room -= len;
}

static bool may_begin(gpointer data)
{
    struct peer *peer = data;

    g_assert(!peer->up);
    return peer->begins != 0;
}

static void on_up(G_GNUC_UNUSED const struct vh_hello *guest, gpointer data)
{
    struct peer *peer = data;

    g_assert(!peer->up && peer->begins);
    peer->up = true;
    peer->begins--;
}

static void on_down(const char *why, gpointer data)
{
    struct peer *peer = data;

    g_assert(peer->up && *why);
    peer->up = false;
}

static void on_cpus(const struct vh_cpu *cpus, uint32_t count, gpointer data)
{
    g_assert(((struct peer *)data)->up && count <= VH_CPUS_MAX);
    for (uint32_t i = 1; i < count; i++)
        g_assert(cpus[i].cpu > cpus[i - 1].cpu);
}

static void on_programs(const struct vh_program *programs, uint32_t count, gpointer data)
{
    g_assert(((struct peer *)data)->up && count <= VH_PROGRAMS_MAX);
    for (uint32_t i = 0; i < count; i++)
        g_assert(vh_name_valid(programs[i].name));
}

/* Reads every byte that is handed out. */
static void on_batch(const struct vh_batch *batch, struct vh_records records, gpointer data)
{
    struct vh_hint hint;
    const uint8_t *record = NULL;
    uint32_t count = 0;
    volatile uint8_t sum = 0;

    g_assert(((struct peer *)data)->up);
    while ((record = vh_records_next(&records, &hint))) {
        for (uint16_t i = 0; i < hint.size; i++)
            sum = (uint8_t)(sum + record[i]);
        count++;
    }
    g_assert(count == batch->count);
}

static void on_trouble(uint32_t program, const char *text, gpointer data)
{
    g_assert(((struct peer *)data)->up && program && g_utf8_validate(text, -1, NULL));
}

static void on_asked(gpointer data)
{
    (void)data;
}

static void on_answered(gpointer data)
{
    struct peer *peer = data;

    g_assert(peer->up && vh_session_owed(peer->session) < VH_SESSION_OWED);
}

static void on_complaint(const char *text, G_GNUC_UNUSED gpointer data)
{
    g_assert(g_utf8_validate(text, -1, NULL));
}

static const struct vh_session_funcs funcs = {.room = on_room,
                                              .send = on_send,
                                              .may_begin = may_begin,
                                              .up = on_up,
                                              .down = on_down,
                                              .cpus = on_cpus,
                                              .programs = on_programs,
                                              .hints = on_batch,
                                              .snapshot = on_batch,
                                              .trouble = on_trouble,
                                              .asked = on_asked,
                                              .answered = on_answered,
                                              .complaint = on_complaint};

static void on_answer(G_GNUC_UNUSED const struct vh_answer *answer, const char *text,
                      const char *log, gpointer data)
{
    struct asked *asked = data;

    g_assert(g_utf8_validate(text, -1, NULL) && g_utf8_validate(log, -1, NULL));
    g_assert(!asked->done);
    asked->done = true;
}

static void say(struct peer *peer, enum vh_type type, uint8_t version, uint32_t id,
                const void *payload, size_t len)
{
    static uint8_t out[VH_FRAME_ENCODED(VH_PAYLOAD_MAX)];
    struct iovec part = {(void *)payload, len};
    long size = vh_frame_encode(out, sizeof(out), type, version, id, &part, 1);

    if (size > 0)
        vh_session_receive(peer->session, out, (size_t)size);
}

static void say_hello(struct peer *peer, struct script *script)
{
    uint8_t session = take(script), mine = take(script);
    struct vh_hello hello = {.magic = VH_HELLO_MAGIC,
                             .version_min = 1,
                             .version_max = (uint16_t)(1 + take(script) % 2),
                             .session = session,
                             .peer = mine % 4 ? HOST + mine / 64 : mine,
                             .role = VH_ROLE_GUEST,
                             .agent = "fuzz"};

    say(peer, VH_HELLO, 0, 0, &hello, sizeof(hello));
}

static void ask(struct peer *peer, struct script *script)
{
    struct vh_load load = {.size = 1 + (uint32_t)take(script) * 1000, .name = "p"};
    g_autoptr(GBytes) object = NULL;

    struct asked *asked = &peer->asked[peer->count];

    if (!vh_session_may_ask(peer->session) || peer->count == G_N_ELEMENTS(peer->asked))
        return;
    peer->count++;
    if (take(script) & 1) {
        asked->id = vh_session_unload(peer->session, "p", on_answer, asked);
        return;
    }
    object = g_bytes_new_take(g_malloc0(load.size), load.size);
    asked->id = vh_session_load(peer->session, &load, "", object, on_answer, asked);
}

static void forget(struct peer *peer, size_t which)
{
    struct asked *asked = peer->count ? &peer->asked[which % peer->count] : NULL;

    if (!asked || asked->done)
        return;
    if (which % 2) {
        vh_session_forget(peer->session, asked->id);
        asked->done = true;
    } else {
        asked->done = vh_session_withdraw(peer->session, asked->id);
    }
}

/* What is kept for a guest is bounded, whatever it says. */
static void check_bounds(const struct peer *peer)
{
    const VhSession *session = peer->session;

    vh_requests_check(session);
    g_assert(session->waiting.length <= VH_SESSION_OWED);
    g_assert(session->sent.length <= VH_SESSION_OWED + VH_PROGRAMS_MAX);
    g_assert(session->credit + session->credit_owed <= VH_SESSION_CREDIT);
    g_assert(session->stream_count <= VH_PROGRAMS_MAX);
    g_assert(vh_session_may_ask(session) ==
             (peer->up && vh_session_owed(session) < VH_SESSION_OWED));
}

static void step(struct peer *peer, struct script *script)
{
    uint8_t what = take(script);
    size_t len = take(script);
    const uint8_t *bytes = NULL;

    switch (what % 8) {
    case 0:
        bytes = take_bytes(script, &len);
        vh_session_receive(peer->session, bytes, len);
        break;
    case 1:
        say_hello(peer, script);
        break;
    case 2:
        peer->room = len * 2048;
        peer->begins = what / 32;
        vh_session_flush(peer->session);
        break;
    case 3:
        ask(peer, script);
        break;
    case 4:
        vh_session_restart(peer->session, HOST + len / 64, "the script says so");
        break;
    case 5:
        forget(peer, len);
        break;
    default:
        len = len * 4 + what / 64;
        what = take(script);
        bytes = take_bytes(script, &len);
        say(peer, (enum vh_type)(what % 40), 1, what / 40, bytes, len);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {data, size};
    struct peer peer = {.room = 1 << 20, .begins = 4};
    VhScratch *scratch = vh_scratch_new();

    peer.session = vh_session_new(HOST, scratch, &funcs, &peer);
    vh_session_hello(peer.session);
    while (script.left) {
        step(&peer, &script);
        check_bounds(&peer);
    }
    vh_session_free(peer.session);
    vh_scratch_free(scratch);
    for (unsigned i = 0; i < peer.count; i++)
        g_assert(peer.asked[i].done);
    g_assert(!peer.up);
    return 0;
}
