// SPDX-License-Identifier: GPL-2.0-or-later
// host/net/cache.c and host-bpf/cache.bpf.c: what is answered, and what makes it void. memcached
// and its clients are packets of BPF_PROG_TEST_RUN; cache-history.c has the real one.
#include "net/cache.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/dispatcher.h"
#include "lib/loop.h"
#include "lib/net-packet.h"

#define GUEST 5u
#define FOREVER (~0ull)
#define PLENTY (1ull << 40)
#define MEMORY (1u << 20)
#define TC_PASS (-1)

typedef struct {
    VhNetMaps *maps;
    VhNetObject *dispatcher;
    VhSlot *slot;
    guint16 id;
    bool v6;
    int vlan;
    struct net_packet out;
} Fixture;

static int shared_map(const Fixture *f, const char *name)
{
    int fd = vh_net_maps_fd(f->maps, name);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static int own_map(const Fixture *f, const char *name)
{
    const struct bpf_map *map =
        bpf_object__find_map_by_name(vh_net_object_bpf(vh_net_cache_object(f->slot)), name);

    g_assert_nonnull(map);
    return bpf_map__fd(map);
}

static void lease(const Fixture *f, guint64 packets)
{
    guint32 number = GUEST;
    const struct vh_lease value = {FOREVER, PLENTY, packets};

    g_assert_cmpint(bpf_map_update_elem(shared_map(f, "vh_guests"), &number, &value, 0), ==, 0);
}

/* Answers are believed from now on. */
static void settle(const Fixture *f)
{
    guint32 zero = 0;
    struct vh_cache_told told;
    struct vh_cache_state state;

    bpf_map_lookup_elem(own_map(f, "cache_told"), &zero, &told);
    told.fill_after = 0;
    bpf_map_update_elem(own_map(f, "cache_told"), &zero, &told, 0);
    bpf_map_lookup_elem(own_map(f, "cache_state"), &zero, &state);
    state.fill_after = 0;
    bpf_map_update_elem(own_map(f, "cache_state"), &zero, &state, 0);
}

static struct vh_cache_wants wants_of(void)
{
    static const guint8 v4[4] = NET_SERVER_V4;
    static const guint8 v6[16] = NET_SERVER_V6;
    struct vh_cache_wants wants = {.seed = 1, .welcome_ns = PLENTY, .port = NET_SERVER_PORT};

    memcpy(wants.addresses[0].bytes, v4, sizeof(v4));
    memcpy(wants.addresses[1].bytes, v6, sizeof(v6));
    return wants;
}

static VhSlot *load(const Fixture *f, const struct vh_cache_wants *wants, guint64 memory,
                    GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new(wants, sizeof(*wants));
    const struct vh_slot_order order = {.number = GUEST, .wants = bytes, .memory = memory};

    return vh_net_cache.load(f->maps, &order, error);
}

static void put_in(const Fixture *f)
{
    for (guint hook = 0; hook < VH_HOOKS; hook++) {
        g_autofree char *map = g_strconcat("vh_", vh_hook_names[hook], NULL);
        guint32 key = VH_SLOT(GUEST, VH_STAGE_CACHE);
        int fd = vh_net_cache.program(f->slot, hook);

        g_assert_cmpint(bpf_map_update_elem(shared_map(f, map), &key, &fd, 0), ==, 0);
    }
}

static void set_up_with(Fixture *f, const struct vh_cache_wants *wants)
{
    g_autoptr(GError) error = NULL;
    const guint32 number = GUEST;
    struct vh_mac key = {.vlan = 0};

    f->dispatcher = dispatcher_new(GUEST, &f->maps);
    memcpy(key.mac, net_guest_mac, sizeof(key.mac));
    bpf_map_update_elem(shared_map(f, "vh_macs"), &key, &number, 0);
    key.vlan = 7;
    bpf_map_update_elem(shared_map(f, "vh_macs"), &key, &number, 0);
    lease(f, PLENTY);
    f->slot = load(f, wants, MEMORY, &error);
    if (!f->slot)
        g_error("%s", error->message);
    put_in(f);
    vh_net_cache.act(f->slot, true);
    settle(f);
}

static void set_up(Fixture *f, gconstpointer data)
{
    struct vh_cache_wants wants = wants_of();

    (void)data;
    set_up_with(f, &wants);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    vh_net_cache.free(f->slot);
    vh_net_object_free(f->dispatcher);
    vh_net_maps_free(f->maps);
}

/* ---- packets ---- */

static int run(Fixture *f, enum vh_hook hook, const struct net_shape *shape)
{
    struct net_packet in;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.bytes, .repeat = 1, .data_out = f->out.bytes,
                .data_size_out = sizeof(f->out.bytes));

    net_packet_make(&in, shape);
    opts.data_size_in = (guint32)in.size;
    g_assert_cmpint(bpf_prog_test_run_opts(vh_net_object_program(f->dispatcher, hook), &opts), ==,
                    0);
    f->out.size = opts.data_size_out;
    return (int)opts.retval;
}

struct datagram {
    guint16 port;
    guint16 id;
    const char *text;
    enum net_damage damage;
    guint8 number, of;
};

static int run_udp(Fixture *f, enum vh_hook hook, bool outward, const struct datagram *datagram)
{
    guint8 payload[2048] = {(guint8)(datagram->id >> 8),
                            (guint8)datagram->id,
                            0,
                            datagram->number,
                            0,
                            datagram->of ?: 1};
    gsize length = strlen(datagram->text);
    const struct net_shape shape = {.v6 = f->v6,
                                    .outward = outward,
                                    .client = 9,
                                    .port = datagram->port ?: 4000,
                                    .vlan = f->vlan,
                                    .damage = datagram->damage,
                                    .payload = payload,
                                    .length = 8 + length};

    memcpy(payload + 8, datagram->text, length);
    return run(f, hook, &shape);
}

static int ask_with(Fixture *f, const char *text, guint16 id)
{
    return run_udp(f, VH_HOOK_EGRESS, false, &(struct datagram){.id = id, .text = text});
}

static void reply_with(Fixture *f, const char *text, guint16 id)
{
    g_assert_cmpint(run_udp(f, VH_HOOK_INGRESS, true, &(struct datagram){.id = id, .text = text}),
                    ==, TC_PASS);
}

/* A question and memcached's answer, over UDP. */
static void exchange(Fixture *f, const char *question, const char *answer)
{
    guint16 id = ++f->id;

    g_assert_cmpint(ask_with(f, question, id), ==, TC_PASS);
    if (answer)
        reply_with(f, answer, id);
}

/* Asks on the uplink, and then on the tap, as a packet does. What comes back; NULL: it has gone to
 * the guest, and `id` is its number. */
static const char *ask(Fixture *f, const char *question)
{
    static char answer[2048];
    guint16 id = ++f->id;
    const struct datagram datagram = {.id = id, .text = question};
    int verdict = run_udp(f, VH_HOOK_UPLINK, false, &datagram);
    const guint8 *payload = NULL;
    gsize length = 0;

    if (verdict == XDP_PASS) {
        /* The tap's hook is of one mind with it. */
        g_assert_cmpint(run_udp(f, VH_HOOK_EGRESS, false, &datagram), ==, TC_PASS);
        return NULL;
    }
    g_assert_cmpint(verdict, ==, XDP_TX);
    g_assert_true(net_packet_valid(f->out.bytes, f->out.size));
    payload = net_packet_payload(f->out.bytes, &length);
    g_assert_cmpuint((guint)payload[0] << 8 | payload[1], ==, id);
    g_assert_cmpmem(payload + 2, 6, ((guint8[]){0, 0, 0, 1, 0, 0}), 6);
    g_assert_cmpmem(f->out.bytes + 6, 6, net_guest_mac, 6);
    memcpy(answer, payload + 8, length - 8);
    answer[length - 8] = 0;
    return answer;
}

/* Is the key cached? If not, the guest answers what it has, or nothing. */
static bool cached(Fixture *f, const char *key, const char *answer)
{
    g_autofree char *question = g_strdup_printf("get %s\r\n", key);

    if (ask(f, question))
        return true;
    if (answer)
        reply_with(f, answer, f->id);
    return false;
}

/* Sets it, reads it once. Now it is cached. */
static void know_until(Fixture *f, const char *key, const char *value, guint seconds)
{
    g_autofree char *set =
        g_strdup_printf("set %s 0 %u %zu\r\n%s\r\n", key, seconds, strlen(value), value);
    g_autofree char *get = g_strdup_printf("get %s\r\n", key);
    g_autofree char *answer =
        g_strdup_printf("VALUE %s 0 %zu\r\n%s\r\nEND\r\n", key, strlen(value), value);

    exchange(f, set, "STORED\r\n");
    exchange(f, get, answer);
}

static void know(Fixture *f, const char *key, const char *value)
{
    know_until(f, key, value, 0);
}

static struct vh_cache_figures figures(const Fixture *f)
{
    return vh_net_cache_figures(f->slot);
}

/* ---- what is answered ---- */

static void check_answers(Fixture *f)
{
    g_autofree char *big = g_strnfill(1300, 'x');
    g_autofree char *big_answer = g_strdup_printf("VALUE b 0 1300\r\n%s\r\nEND\r\n", big);
    g_autofree char *key = g_strnfill(VH_CACHE_KEY, 'k');
    g_autofree char *get = g_strdup_printf("get %s\r\n", key);
    g_autofree char *answer = g_strdup_printf("VALUE %s 0 3\r\nabc\r\nEND\r\n", key);

    know(f, "a", "one");
    know(f, "odd", "fourteen");
    know(f, "b", big);
    know(f, key, "abc");
    g_assert_cmpstr(ask(f, "get a\r\n"), ==, "VALUE a 0 3\r\none\r\nEND\r\n");
    g_assert_cmpstr(ask(f, "get odd\r\n"), ==, "VALUE odd 0 8\r\nfourteen\r\nEND\r\n");
    g_assert_cmpstr(ask(f, "get b\r\n"), ==, big_answer);
    g_assert_cmpstr(ask(f, get), ==, answer);
    g_assert_cmpstr(ask(f, "get odd a odd a\r\n"), ==,
                    "VALUE odd 0 8\r\nfourteen\r\nVALUE a 0 3\r\none\r\n"
                    "VALUE odd 0 8\r\nfourteen\r\nVALUE a 0 3\r\none\r\nEND\r\n");
    /* One that is not there, or too much: the guest answers all. */
    g_assert_null(ask(f, "get a none odd\r\n"));
    g_assert_null(ask(f, "get a b b\r\n"));
    /* Keys that begin alike, or end alike. */
    g_assert_null(ask(f, "get od\r\n"));
    g_assert_null(ask(f, "get odd1\r\n"));
}

static void test_answers(Fixture *f, gconstpointer data)
{
    (void)data;
    check_answers(f);
    g_assert_cmpuint(figures(f).answered, ==, 5);
    g_assert_cmpuint(figures(f).fills, ==, 4);
    g_assert_cmpuint(figures(f).flushed, ==, 0);
}

static void test_answers_ipv6(Fixture *f, gconstpointer data)
{
    (void)data;
    f->v6 = true;
    check_answers(f);
}

static void test_answers_vlan(Fixture *f, gconstpointer data)
{
    (void)data;
    f->vlan = 7;
    check_answers(f);
}

/* A client on this machine does not pass the uplink. */
static void test_answers_on_the_tap(Fixture *f, gconstpointer data)
{
    struct datagram get = {.id = 77, .text = "get a\r\n"};

    (void)data;
    know(f, "a", "one");
    g_assert_cmpint(run_udp(f, VH_HOOK_EGRESS, false, &get), ==, TC_ACT_REDIRECT);
    g_assert_true(net_packet_valid(f->out.bytes, f->out.size));
    get.damage = NET_PARTIAL_CHECKSUM;
    g_assert_cmpint(run_udp(f, VH_HOOK_EGRESS, false, &get), ==, TC_ACT_REDIRECT);
    /* It stays partial: whoever sends it on completes it. */
    g_assert_false(net_packet_valid(f->out.bytes, f->out.size));
}

/* What the guest would not take is not answered; and what it says nothing of. */
static void test_damage(Fixture *f, gconstpointer data)
{
    static const struct {
        enum net_damage damage;
        bool answer, answer_ipv6;
    } table[] = {{NET_WHOLE, true, true},           {NET_PARTIAL_CHECKSUM, true, true},
                 {NET_NO_CHECKSUM, true, false},    {NET_BAD_CHECKSUM, false, false},
                 {NET_OTHER_ADDRESS, false, false}, {NET_FRAGMENT, false, false}};

    (void)data;
    for (guint v6 = 0; v6 < 2; v6++) {
        f->v6 = v6;
        know(f, "a", "one");
        for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
            const struct datagram get = {.id = 1, .text = "get a\r\n", .damage = table[i].damage};

            bool answer = v6 ? table[i].answer_ipv6 : table[i].answer;

            g_assert_cmpint(run_udp(f, VH_HOOK_UPLINK, false, &get), ==,
                            answer ? XDP_TX : XDP_PASS);
        }
    }
}

/* Nobody is answered whom memcached has not answered within a second: the guest's firewall may keep
 * him out. And nobody when memcached has been silent. */
static void test_welcome(Fixture *f, gconstpointer data)
{
    static const char *const answer = "VALUE a 0 3\r\none\r\nEND\r\n";
    const struct datagram stranger = {.port = 5000, .id = 1, .text = "get a\r\n"};
    struct vh_cache_wants wants = wants_of();
    guint32 zero = 0;
    struct vh_cache_state state;

    (void)data;
    wants.welcome_ns = 0;
    set_up_with(f, &wants);
    know(f, "a", "one");
    g_assert_cmpint(run_udp(f, VH_HOOK_UPLINK, false, &stranger), ==, XDP_PASS);
    LOOP_UNTIL(run_udp(f, VH_HOOK_UPLINK, false, &stranger) == XDP_TX)
    {
        run_udp(f, VH_HOOK_EGRESS, false, &stranger);
        run_udp(f, VH_HOOK_INGRESS, true,
                &(struct datagram){.port = 5000, .id = 1, .text = answer});
    }
    bpf_map_lookup_elem(own_map(f, "cache_state"), &zero, &state);
    state.alive -= 1000000000;
    bpf_map_update_elem(own_map(f, "cache_state"), &zero, &state, 0);
    g_assert_cmpint(run_udp(f, VH_HOOK_UPLINK, false, &stranger), ==, XDP_PASS);
    tear_down(f, NULL);
}

static void test_shadow(Fixture *f, gconstpointer data)
{
    (void)data;
    know(f, "a", "one");
    vh_net_cache.act(f->slot, false);
    settle(f);
    g_assert_null(ask(f, "get a\r\n"));
    g_assert_cmpuint(figures(f).would, ==, 1);
    g_assert_cmpuint(vh_net_cache.hits(f->slot), ==, 1);
    g_assert_cmpuint(figures(f).answered, ==, 0);
    reply_with(f, "VALUE a 0 3\r\none\r\nEND\r\n", f->id);
    vh_net_cache.act(f->slot, true);
    g_assert_nonnull(ask(f, "get a\r\n"));
}

/* ---- what is not kept ---- */

static void test_expiry(Fixture *f, gconstpointer data)
{
    (void)data;
    /* Nobody has seen how it was set. */
    exchange(f, "get old\r\n", "VALUE old 0 3\r\none\r\nEND\r\n");
    g_assert_false(cached(f, "old", NULL));
    g_assert_cmpuint(figures(f).unknown_expiry, ==, 1);
    /* One second may be over at once, a date is the guest's, and what is below zero is gone. */
    know_until(f, "second", "x", 1);
    g_assert_false(cached(f, "second", NULL));
    know_until(f, "date", "x", 1800000000);
    g_assert_false(cached(f, "date", NULL));
    exchange(f, "set gone 0 -1 1\r\nx\r\n", "STORED\r\n");
    exchange(f, "get gone\r\n", "VALUE gone 0 1\r\nx\r\nEND\r\n");
    g_assert_false(cached(f, "gone", NULL));
    know_until(f, "minute", "x", 60);
    g_assert_true(cached(f, "minute", NULL));
    /* Two seconds are one, less a little. */
    know_until(f, "two", "x", 2);
    g_assert_true(cached(f, "two", NULL));
    LOOP_UNTIL(!ask(f, "get two\r\n"))
    exchange(f, "get three\r\n", "END\r\n");
    g_assert_false(cached(f, "two", NULL));
    g_assert_true(cached(f, "minute", NULL));
}

/* The tenant's word stands for SETs that nobody has seen, not against those that were. */
static void test_unexpiring(Fixture *f, gconstpointer data)
{
    struct vh_cache_wants wants = wants_of();

    (void)data;
    wants.unexpiring = true;
    set_up_with(f, &wants);
    exchange(f, "get old\r\n", "VALUE old 0 3\r\none\r\nEND\r\n");
    g_assert_true(cached(f, "old", NULL));
    tear_down(f, NULL);
}

static void test_not_kept(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *question, *answer;
        guint8 of;
    } table[] = {
        {"get a\r\n", "END\r\n", 1},
        {"gets a\r\n", "VALUE a 0 3 17\r\none\r\nEND\r\n", 1},
        {"get a\r\n", "VALUE a 0 3\r\none\r\nEND\r\n", 2},
        {"get a\r\n", "VALUE a 0 4\r\none\r\nEND\r\n", 1},
        {"get a\r\n", "VALUE a 0 3\r\none\r\nEND\r\nx", 1},
        {"get a\r\n", "VALUE b 0 3\r\none\r\nEND\r\n", 1},
        {"get a\r\n", "VALUE  a 0 3\r\none\r\nEND\r\n", 1},
        {"get a\r\n", "VALUE a 0 3 1\r\none\r\nEND\r\n", 1},
        {"get a b\r\n", "VALUE a 0 3\r\none\r\nEND\r\n", 1},
        {"get a\r\n", "SERVER_ERROR out of memory\r\n", 1},
    };

    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        guint16 id = ++f->id;

        exchange(f, "set a 0 0 3\r\none\r\n", "STORED\r\n");
        exchange(f, "set b 0 0 3\r\none\r\n", "STORED\r\n");
        ask_with(f, table[i].question, id);
        run_udp(f, VH_HOOK_INGRESS, true,
                &(struct datagram){.id = id, .text = table[i].answer, .of = table[i].of});
        g_assert_false(cached(f, "a", NULL));
        g_assert_false(cached(f, "b", NULL));
    }
    g_assert_cmpuint(figures(f).flushed, ==, 0);
}

/* ---- writes, over UDP ---- */

static const struct {
    const char *command, *answer;
} writes[] = {
    {"set a 0 0 3\r\ntwo\r\n", "STORED\r\n"},
    {"set a 7 60 3\r\ntwo\r\n", "STORED\r\n"},
    {"set a 0 -1 3\r\ntwo\r\n", "STORED\r\n"},
    {"set a 0 0 3 noreply\r\ntwo\r\n", NULL},
    {"add a 0 0 3\r\ntwo\r\n", "NOT_STORED\r\n"},
    {"replace a 0 0 3\r\ntwo\r\n", "STORED\r\n"},
    {"append a 0 0 3\r\ntwo\r\n", "STORED\r\n"},
    {"prepend a 0 0 3\r\ntwo\r\n", "STORED\r\n"},
    {"cas a 0 0 3 17\r\ntwo\r\n", "EXISTS\r\n"},
    {"cas a 0 0 3 17 noreply\r\ntwo\r\n", NULL},
    {"delete a\r\n", "DELETED\r\n"},
    {"delete a 0\r\n", "DELETED\r\n"},
    {"delete a noreply\r\n", NULL},
    {"incr a 1\r\n", "8\r\n"},
    {"decr a 1 noreply\r\n", NULL},
    {"touch a 10\r\n", "TOUCHED\r\n"},
    {"set a 0 0 3\ntwo\r\n", "STORED\r\n"},
};

/* What makes everything void, because it says so, or nobody knows what it does. */
static const struct {
    const char *command, *answer;
} doubts[] = {
    {"gat 10 a\r\n", "VALUE a 0 3\r\none\r\nEND\r\n"},
    {"gats 10 a b\r\n", "END\r\n"},
    {"flush_all\r\n", "OK\r\n"},
    {"flush_all 0\r\n", "OK\r\n"},
    {"flush_all noreply\r\n", NULL},
    {"ms a 2\r\nhi\r\n", "HD\r\n"},
    {"md a\r\n", "HD\r\n"},
    {"mg a t\r\n", "HD t-1\r\n"},
    {"\x80\x01", NULL},
    {"set  a 0 0 3\r\ntwo\r\n", "ERROR\r\n"},
    {"set a 0 0 3 maybe\r\ntwo\r\n", "STORED\r\n"},
    {"set a 0 0 3x\r\ntwo\r\n", "ERROR\r\n"},
    {"set a x 0 3\r\ntwo\r\n", "ERROR\r\n"},
    {"set a 0 0 3\r\ntwo", "ERROR\r\n"},
    {"set a 0 0 3\r\ntwoo\r\n", "ERROR\r\n"},
    {"get a\r\nset a 0 0 3\r\ntwo\r\n", "STORED\r\n"},
    {"get a", NULL},
    {"get a\tb\r\n", "END\r\n"},
    {"\r\n", "ERROR\r\n"},
    {" set a 0 0 3\r\ntwo\r\n", "STORED\r\n"},
    {"Set a 0 0 3\r\ntwo\r\n", "ERROR\r\n"},
    {"verbosity 1\r\n", "OK\r\n"},
    {"stats\r\n", "END\r\n"},
};

static void test_udp_writes(Fixture *f, gconstpointer data)
{
    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(writes); i++) {
        struct vh_cache_figures before;

        g_test_message("%s", writes[i].command);
        know(f, "other", "x");
        know(f, "a", "one");
        before = figures(f);
        exchange(f, writes[i].command, NULL);
        g_assert_false(cached(f, "a", NULL));
        if (writes[i].answer)
            reply_with(f, writes[i].answer, (guint16)(f->id - 1));
        g_assert_false(cached(f, "a", NULL));
        g_assert_true(cached(f, "other", NULL));
        g_assert_cmpuint(figures(f).writes, ==, before.writes + 1);
        g_assert_cmpuint(figures(f).flushed, ==, 0);
        /* A bucket that a writer without an answer has closed opens with time. */
        if (!writes[i].answer) {
            tear_down(f, NULL);
            set_up(f, NULL);
        }
    }
}

static void test_udp_doubts(Fixture *f, gconstpointer data)
{
    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(doubts); i++) {
        g_test_message("%s", doubts[i].command);
        settle(f);
        know(f, "a", "one");
        know(f, "other", "x");
        exchange(f, doubts[i].command, NULL);
        g_assert_false(cached(f, "a", "VALUE a 0 3\r\none\r\nEND\r\n"));
        g_assert_false(cached(f, "other", "VALUE other 0 1\r\nx\r\nEND\r\n"));
        /* Nor is anything kept while it may be under way. */
        g_assert_false(cached(f, "other", "VALUE other 0 1\r\nx\r\nEND\r\n"));
        settle(f);
        know(f, "other", "x");
        if (doubts[i].answer) {
            reply_with(f, doubts[i].answer, (guint16)(f->id - 5));
            g_assert_false(cached(f, "other", NULL));
        }
    }
}

/* Everything is to be invalid at some later time: nothing is answered any more. */
static void test_flush_later(Fixture *f, gconstpointer data)
{
    (void)data;
    know(f, "a", "one");
    exchange(f, "flush_all 10\r\n", "OK\r\n");
    settle(f);
    know(f, "a", "one");
    g_assert_null(ask(f, "get a\r\n"));
}

/* ---- races ---- */

/* The answer to a GET has the old value; it leaves the guest before, amid or after a write. */
static void test_fill_races(Fixture *f, gconstpointer data)
{
    static const char *const old = "VALUE a 0 3\r\nold\r\nEND\r\n";
    guint16 get = 0;
    guint16 set = 0;

    (void)data;
    /* GET, SET, answer to the GET. */
    exchange(f, "set a 0 0 3\r\nold\r\n", "STORED\r\n");
    get = ++f->id;
    ask_with(f, "get a\r\n", get);
    set = ++f->id;
    ask_with(f, "set a 0 0 3\r\nnew\r\n", set);
    reply_with(f, old, get);
    g_assert_false(cached(f, "a", NULL));
    /* SET under way, GET overtakes it in the guest. */
    get = f->id;
    reply_with(f, old, get);
    g_assert_false(cached(f, "a", NULL));
    get = f->id;
    reply_with(f, "STORED\r\n", set);
    reply_with(f, old, get);
    g_assert_false(cached(f, "a", "VALUE a 0 3\r\nnew\r\nEND\r\n"));
    g_assert_cmpstr(ask(f, "get a\r\n"), ==, "VALUE a 0 3\r\nnew\r\nEND\r\n");
    g_assert_cmpuint(figures(f).flushed, ==, 0);
}

/* An id that is used again while a question with it is under way: nobody knows which answer comes.
 */
static void test_same_id(Fixture *f, gconstpointer data)
{
    (void)data;
    exchange(f, "set a 0 0 3\r\nold\r\n", "STORED\r\n");
    ask_with(f, "get a\r\n", 1000); /* its answer is late */
    exchange(f, "set a 0 0 3\r\nnew\r\n", "STORED\r\n");
    ask_with(f, "get a\r\n", 1000);
    reply_with(f, "VALUE a 0 3\r\nold\r\nEND\r\n", 1000);
    g_assert_false(cached(f, "a", NULL));
    reply_with(f, "VALUE a 0 3\r\nnew\r\nEND\r\n", 1000);
    g_assert_false(cached(f, "a", NULL));
    /* All are answered: it is as good as new. */
    ask_with(f, "get a\r\n", 1000);
    reply_with(f, "VALUE a 0 3\r\nnew\r\nEND\r\n", 1000);
    g_assert_true(cached(f, "a", NULL));
    /* Of writes it is not known which key has changed. */
    ask_with(f, "set b 0 0 3\r\none\r\n", 1001);
    ask_with(f, "set c 0 0 3\r\none\r\n", 1001);
    reply_with(f, "STORED\r\n", 1001);
    g_assert_false(cached(f, "a", NULL));
    g_assert_cmpuint(figures(f).flushed, ==, 1);
}

/* An answer that nobody has asked for, or a second copy of one. */
static void test_strange_answer(Fixture *f, gconstpointer data)
{
    (void)data;
    know(f, "a", "one");
    reply_with(f, "STORED\r\n", 2000);
    g_assert_false(cached(f, "a", NULL));
    know(f, "a", "one");
    reply_with(f, "STORED\r\n", (guint16)(f->id - 1));
    g_assert_false(cached(f, "a", NULL));
}

/* memcached answers several keys with several datagrams, of which one has the end. */
static void test_many_datagrams(Fixture *f, gconstpointer data)
{
    (void)data;
    know(f, "a", "one");
    ask_with(f, "get b a c\r\n", 4000);
    reply_with(f, "", 4000);
    reply_with(f, "VALUE a 0 5\r\nEND\r\n\r\n", 4000);
    reply_with(f, "END\r\n", 4000);
    g_assert_true(cached(f, "a", NULL));
    g_assert_cmpuint(figures(f).flushed, ==, 0);
    /* Only after that end the id is free. */
    exchange(f, "set c 0 0 3\r\nold\r\n", "STORED\r\n");
    ask_with(f, "get c a\r\n", 4001);
    reply_with(f, "VALUE c 0 3\r\nold\r\n", 4001);
    ask_with(f, "get c\r\n", 4001);
    reply_with(f, "VALUE c 0 3\r\nold\r\nEND\r\n", 4001);
    g_assert_false(cached(f, "c", NULL));
    /* A long one is cut. */
    ask_with(f, "get c\r\n", 4002);
    run_udp(f, VH_HOOK_INGRESS, true,
            &(struct datagram){.id = 4002, .text = "VALUE c 0 2000\r\nSTORED\r\n", .of = 2});
    run_udp(f, VH_HOOK_INGRESS, true,
            &(struct datagram){.id = 4002, .text = "STORED\r\n", .number = 1, .of = 2});
    g_assert_true(cached(f, "a", NULL));
    reply_with(f, "STORED\r\n", 4002);
    g_assert_false(cached(f, "a", NULL));
}

/* Two writers of one key: in which order memcached has done it is not known, and what the one has
 * said of its expiry may not be so. */
static void test_two_writers(Fixture *f, gconstpointer data)
{
    static const char *const value = "VALUE a 0 3\r\none\r\nEND\r\n";

    (void)data;
    ask_with(f, "set a 0 0 3\r\none\r\n", 3000);
    ask_with(f, "set a 0 100 3\r\none\r\n", 3001);
    reply_with(f, "STORED\r\n", 3000);
    exchange(f, "get a\r\n", value);
    g_assert_false(cached(f, "a", value));
    reply_with(f, "STORED\r\n", 3001);
    exchange(f, "get a\r\n", value);
    g_assert_false(cached(f, "a", value));
    /* The next one that is alone says it. */
    know(f, "a", "one");
    g_assert_true(cached(f, "a", NULL));
}

/* Packets that the dispatcher has not shown: beyond the budget, or without a lease. */
static void test_gaps(Fixture *f, gconstpointer data)
{
    (void)data;
    know(f, "a", "one");
    g_assert_true(cached(f, "a", NULL));
    lease(f, 0);
    exchange(f, "set a 0 0 3\r\ntwo\r\n", "STORED\r\n");
    lease(f, PLENTY);
    g_assert_false(cached(f, "a", NULL));
}

static void test_flush(Fixture *f, gconstpointer data)
{
    (void)data;
    know(f, "a", "one");
    vh_net_cache_flush(f->slot);
    g_assert_false(cached(f, "a", "VALUE a 0 3\r\none\r\nEND\r\n"));
    know(f, "a", "one");
    g_assert_false(cached(f, "a", NULL));
    settle(f);
    know(f, "a", "one");
    g_assert_true(cached(f, "a", NULL));
}

/* Fragments may have a command of any port, and of any key. */
static void test_fragments(Fixture *f, gconstpointer data)
{
    (void)data;
    for (guint i = 0; i < 4; i++) {
        const struct net_shape fragment = {.v6 = i & 1,
                                           .tcp = i >> 1,
                                           .client = 9,
                                           .port = 1,
                                           .damage = NET_FRAGMENT,
                                           .payload = "x",
                                           .length = 1};

        settle(f);
        know(f, "a", "one");
        run(f, VH_HOOK_EGRESS, &fragment);
        g_assert_false(cached(f, "a", NULL));
        g_assert_cmpuint(figures(f).fragments, ==, i + 1);
    }
}

/* ---- TCP ---- */

typedef struct {
    Fixture *f;
    guint16 port;
    guint32 seq, ack; /* of the client's next byte, and of memcached's */
} Stream;

static void segment(Stream *stream, bool outward, guint8 flags, const char *text, gsize length,
                    gint64 from)
{
    guint32 *next = outward ? &stream->ack : &stream->seq;
    guint32 seq = from >= 0 ? (guint32)from : *next;
    const struct net_shape shape = {.v6 = stream->f->v6,
                                    .tcp = true,
                                    .outward = outward,
                                    .client = 9,
                                    .port = stream->port,
                                    .seq = seq,
                                    .ack = outward ? stream->seq : stream->ack,
                                    .flags = flags,
                                    .payload = text,
                                    .length = length};

    if (from < 0)
        *next = seq + (guint32)length + (flags & 3 ? 1 : 0);
    g_assert_cmpint(run(stream->f, outward ? VH_HOOK_INGRESS : VH_HOOK_EGRESS, &shape), ==,
                    TC_PASS);
}

static void say(Stream *stream, const char *text)
{
    segment(stream, false, 0, text, strlen(text), -1);
}

static void hear(Stream *stream, const char *text)
{
    segment(stream, true, 0, text, strlen(text), -1);
}

static Stream open_stream(Fixture *f, guint16 port)
{
    /* Sequence numbers wrap early. */
    Stream stream = {f, port, 0xfffffff0, 0};

    segment(&stream, false, 2, NULL, 0, -1);
    stream.ack = 0xffffffe0;
    segment(&stream, true, 2, NULL, 0, -1);
    segment(&stream, false, 0, NULL, 0, -1);
    return stream;
}

static void test_tcp_writes(Fixture *f, gconstpointer data)
{
    Stream stream = open_stream(f, 6000);

    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(writes); i++) {
        g_test_message("%s", writes[i].command);
        /* What a write without an answer has closed would stay so. */
        if (!writes[i].answer)
            continue;
        know(f, "other", "x");
        know(f, "a", "one");
        say(&stream, writes[i].command);
        g_assert_false(cached(f, "a", "VALUE a 0 3\r\none\r\nEND\r\n"));
        g_assert_false(cached(f, "a", NULL));
        /* This GET has overtaken the write in the guest, and its answer comes later. */
        hear(&stream, writes[i].answer);
        reply_with(f, "VALUE a 0 3\r\none\r\nEND\r\n", f->id);
        g_assert_false(cached(f, "a", NULL));
        g_assert_true(cached(f, "other", NULL));
    }
    g_assert_cmpuint(figures(f).flushed, ==, 0);
    g_assert_cmpuint(figures(f).not_understood, ==, 0);
}

/* A SET over TCP says when the item expires, and then it is cached. */
static void test_tcp_knows(Fixture *f, gconstpointer data)
{
    static const char *const value = "VALUE a 0 3\r\none\r\nEND\r\n";
    Stream stream = open_stream(f, 6001);

    (void)data;
    say(&stream, "set a 0 0 3\r\none\r\n");
    hear(&stream, "STORED\r\n");
    exchange(f, "get a\r\n", value);
    g_assert_true(cached(f, "a", NULL));
    /* Reads over TCP change nothing, several at once neither. */
    say(&stream, "get a\r\nget b c\r\ngets a\r\n");
    hear(&stream, "VALUE a 0 3\r\none\r\nEND\r\nEND\r\nVALUE a 0 3 9\r\none\r\nEND\r\n");
    g_assert_true(cached(f, "a", NULL));
    say(&stream, "add b 0 0 3\r\none\r\n");
    hear(&stream, "NOT_STORED\r\n");
    exchange(f, "get b\r\n", "VALUE b 0 3\r\none\r\nEND\r\n");
    g_assert_false(cached(f, "b", NULL));
    say(&stream, "quit\r\n");
    segment(&stream, false, 1, NULL, 0, -1);
    segment(&stream, true, 1, NULL, 0, -1);
    g_assert_true(cached(f, "a", NULL));
    g_assert_cmpuint(figures(f).flushed, ==, 0);
}

/* However a stream is cut, no write is missed; and where a command is whole, nothing else is void.
 */
static void test_tcp_cuts(Fixture *f, gconstpointer data)
{
    static const char command[] = "set a 0 0 9\r\nget other\r\n";
    Stream stream = {0};

    (void)data;
    for (gsize cut = 1; cut < sizeof(command) - 1; cut++) {
        struct vh_cache_figures before;

        settle(f);
        stream = open_stream(f, (guint16)(7000 + cut));
        know(f, "a", "one");
        know(f, "other", "x");
        before = figures(f);
        segment(&stream, false, 0, command, cut, -1);
        segment(&stream, false, 0, command + cut, sizeof(command) - 1 - cut, -1);
        hear(&stream, "STORED\r\n");
        g_assert_false(cached(f, "a", NULL));
        g_assert_true(cached(f, "other", NULL) == (cut >= 13));
        g_assert_cmpuint(figures(f).not_understood - before.not_understood, ==, cut < 13);
        /* The bucket that was closed by two packets opens with time alone. */
        tear_down(f, NULL);
        set_up(f, NULL);
    }
}

/* The data of a value comes in any order and more than once; a command does not. */
static void test_tcp_order(Fixture *f, gconstpointer data)
{
    static const char command[] = "set a 0 0 20\r\n01234567890123456789\r\n";
    Stream stream = open_stream(f, 6002);
    guint32 begin = stream.seq;

    (void)data;
    know(f, "other", "x");
    segment(&stream, false, 0, command, 20, -1);
    segment(&stream, false, 0, command + 30, 6, begin + 30);
    segment(&stream, false, 0, command, 20, begin);
    segment(&stream, false, 0, command + 20, 16, begin + 20);
    stream.seq = begin + 36;
    hear(&stream, "STORED\r\n");
    g_assert_true(cached(f, "other", NULL));
    /* Beyond what has come, there is something that has not. */
    segment(&stream, false, 0, "get a\r\n", 7, stream.seq + 100);
    g_assert_false(cached(f, "other", NULL));
    g_assert_cmpuint(figures(f).not_understood, ==, 1);
    /* It stays a stranger. */
    settle(f);
    know(f, "other", "x");
    hear(&stream, "STORED\r\n");
    g_assert_false(cached(f, "other", NULL));
}

static void test_tcp_pipeline(Fixture *f, gconstpointer data)
{
    Stream stream = open_stream(f, 6003);

    (void)data;
    know(f, "a", "one");
    know(f, "b", "one");
    say(&stream, "set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\nget a\r\nset c 0 0 1 noreply\r\nx\r\n");
    hear(&stream, "STORED\r\n");
    /* All that it has written is void with each answer, until the last. */
    exchange(f, "get a\r\n", "VALUE a 0 3\r\none\r\nEND\r\n");
    g_assert_false(cached(f, "a", NULL));
    hear(&stream, "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    g_assert_false(cached(f, "b", NULL));
    g_assert_cmpuint(figures(f).flushed, ==, 0);
    /* More keys than are kept in mind: then all are void. */
    know(f, "other", "x");
    say(&stream, "delete d\r\ndelete e\r\ndelete f\r\ndelete g\r\ndelete h\r\n");
    hear(&stream, "NOT_FOUND\r\n");
    g_assert_false(cached(f, "other", NULL));
}

static void test_tcp_doubts(Fixture *f, gconstpointer data)
{
    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(doubts); i++) {
        Stream stream = open_stream(f, (guint16)(8000 + i));

        /* Over TCP these are commands, or the beginning of one. */
        if (g_str_has_prefix(doubts[i].command, "get a\r\n") ||
            g_str_has_suffix(doubts[i].command, "two"))
            continue;
        g_test_message("%s", doubts[i].command);
        settle(f);
        know(f, "other", "x");
        say(&stream, doubts[i].command);
        g_assert_false(cached(f, "other", "VALUE other 0 1\r\nx\r\nEND\r\n"));
        g_assert_false(cached(f, "other", NULL));
        settle(f);
        know(f, "other", "x");
        hear(&stream, doubts[i].answer ?: "OK\r\n");
        g_assert_false(cached(f, "other", NULL));
    }
}

/* Connections that were there before, and the end of memcached. */
static void test_tcp_strangers(Fixture *f, gconstpointer data)
{
    Stream stream = {f, 6004, 1000, 2000};

    (void)data;
    know(f, "a", "one");
    say(&stream, "get b\r\n");
    g_assert_false(cached(f, "a", NULL));
    settle(f);
    know(f, "a", "one");
    hear(&stream, "END\r\n");
    g_assert_false(cached(f, "a", NULL));
    know(f, "a", "one");
    segment(&stream, true, 1, NULL, 0, -1);
    g_assert_false(cached(f, "a", NULL));
    know(f, "a", "one");
    segment(&stream, true, 4, NULL, 0, -1);
    g_assert_false(cached(f, "a", NULL));
    /* The guest acknowledges what has not come past here. */
    stream = open_stream(f, 6005);
    know(f, "a", "one");
    say(&stream, "delete b\r\n");
    stream.seq += 9;
    hear(&stream, "NOT_FOUND\r\n");
    g_assert_false(cached(f, "a", NULL));
}

/* A segment that is not intact is sent again, and may be another command then. */
static void test_tcp_damage(Fixture *f, gconstpointer data)
{
    Stream stream = open_stream(f, 6006);
    const struct net_shape broken = {.tcp = true,
                                     .client = 9,
                                     .port = 6006,
                                     .seq = stream.seq,
                                     .ack = stream.ack,
                                     .damage = NET_BAD_CHECKSUM,
                                     .payload = "delete x\r\n",
                                     .length = 10};

    (void)data;
    know(f, "a", "one");
    run(f, VH_HOOK_EGRESS, &broken);
    say(&stream, "delete a\r\n");
    g_assert_false(cached(f, "a", NULL));
    hear(&stream, "DELETED\r\n");
    g_assert_false(cached(f, "a", NULL));
    g_assert_cmpuint(figures(f).not_understood, ==, 0);
}

static void test_explain(Fixture *f, gconstpointer data)
{
    g_autofree char *none = vh_net_cache.explain(f->slot);
    g_autofree char *some = NULL;

    (void)data;
    g_assert_null(none);
    exchange(f, "get old\r\n", "VALUE old 0 3\r\none\r\nEND\r\n");
    exchange(f, "mystery\r\n", "ERROR\r\n");
    some = vh_net_cache.explain(f->slot);
    g_assert_true(g_str_has_prefix(some, "1 values were not kept"));
    g_assert_nonnull(strstr(some, "\n1 commands were not understood"));
}

static void test_sweep(Fixture *f, gconstpointer data)
{
    Stream one = open_stream(f, 6007);
    Stream other = open_stream(f, 6008);

    (void)data;
    g_assert_cmpuint(vh_net_cache_sweep(f->slot, G_MAXUINT64), ==, 2);
    /* What has ended goes first, and nothing is void for it. */
    know(f, "a", "one");
    segment(&one, false, 1, NULL, 0, -1);
    segment(&one, true, 1, NULL, 0, -1);
    segment(&one, false, 0, NULL, 0, -1);
    g_assert_cmpuint(vh_net_cache.hits(f->slot), ==, 0);
    g_assert_cmpuint(vh_net_cache_sweep(f->slot, G_MAXUINT64), ==, 1);
    g_assert_true(cached(f, "a", NULL));
    g_assert_cmpuint(vh_net_cache_sweep(f->slot, 0), ==, 0);
    say(&other, "get b\r\n");
    g_assert_cmpuint(figures(f).strangers, ==, 1);
}

static void test_memory(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    struct vh_cache_wants wants = wants_of();

    (void)data;
    g_assert_cmpuint(vh_net_cache_entries(0), ==, 0);
    g_assert_cmpuint(vh_net_cache_entries(64 << 20), ==, 32768);
    for (guint64 memory = 1 << 17; memory < 1ull << 40; memory = memory * 3 / 2) {
        guint64 entries = vh_net_cache_entries(memory);

        g_assert_cmpuint(entries * (VH_CACHE_REPLY + sizeof(struct vh_cache_head) + 128), <=,
                         memory);
        g_assert_cmpuint(entries & (entries - 1), ==, 0);
    }
    g_assert_null(load(f, &wants, 1000, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_REFUSED);
}

/* ---- figures: -m perf ---- */

struct costs {
    const char *name;
    enum vh_hook hook;
    const char *text;
    guint16 server; /* port; 0: memcached's */
};

/* ns a packet, the best of some: of others the machine had something else to do. */
static double cost_of(Fixture *f, const struct costs *costs)
{
    struct net_packet in;
    guint8 payload[512] = {0, 1, 0, 0, 0, 1};
    const struct net_shape shape = {.client = 9,
                                    .port = 4000,
                                    .outward = costs->hook == VH_HOOK_INGRESS,
                                    .payload = payload,
                                    .length = 8 + strlen(costs->text)};
    double best = 1e9;

    memcpy(payload + 8, costs->text, strlen(costs->text));
    net_packet_make(&in, &shape);
    if (costs->server)
        in.bytes[14 + 20 + (shape.outward ? 0 : 2)] ^= 1;
    for (guint i = 0; i < 15; i++) {
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.bytes, .data_size_in = (guint32)in.size,
                    .repeat = 100000);

        g_assert_cmpint(
            bpf_prog_test_run_opts(vh_net_object_program(f->dispatcher, costs->hook), &opts), ==,
            0);
        best = MIN(best, opts.duration);
    }
    return best;
}

static void test_cost(Fixture *f, gconstpointer data)
{
    static const struct costs table[] = {
        {"uplink, not memcached's", VH_HOOK_UPLINK,
         "get 0123456789012345678901234567890123456789\r\n", 1},
        {"uplink, a miss", VH_HOOK_UPLINK, "get 0123456789012345678901234567890123456789\r\n", 0},
        {"tap, not memcached's", VH_HOOK_EGRESS, "get 0123456789012345678901234567890123456789\r\n",
         1},
        {"tap, a miss", VH_HOOK_EGRESS, "get 0123456789012345678901234567890123456789\r\n", 0},
        {"from the guest, not memcached's", VH_HOOK_INGRESS, "END\r\n", 1},
        {"from the guest, nothing found", VH_HOOK_INGRESS, "END\r\n", 0},
    };

    (void)data;
    if (!g_test_perf()) {
        g_test_skip("figures are made with -m perf");
        return;
    }
    know(f, "a", "one");
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        double with = 0;
        double without = 0;

        put_in(f);
        with = cost_of(f, &table[i]);
        for (guint hook = 0; hook < VH_HOOKS; hook++) {
            g_autofree char *map = g_strconcat("vh_", vh_hook_names[hook], NULL);
            guint32 key = VH_SLOT(GUEST, VH_STAGE_CACHE);

            bpf_map_delete_elem(shared_map(f, map), &key);
        }
        without = cost_of(f, &table[i]);
        g_test_message("%s: %.0f ns, %.0f ns for the dispatcher alone", table[i].name, with,
                       without);
    }
}

static void test_root(void)
{
    g_test_skip("loading BPF takes root");
}

static void stay_on_a_cpu(void)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    stay_on_a_cpu();
    if (geteuid() != 0) {
        g_test_add_func("/net/cache", test_root);
        return g_test_run();
    }
#define ADD(name) g_test_add("/net/cache/" #name, Fixture, NULL, set_up, test_##name, tear_down)
    ADD(answers);
    ADD(answers_ipv6);
    ADD(answers_vlan);
    ADD(answers_on_the_tap);
    ADD(damage);
    g_test_add("/net/cache/welcome", Fixture, NULL, NULL, test_welcome, NULL);
    ADD(shadow);
    ADD(expiry);
    g_test_add("/net/cache/unexpiring", Fixture, NULL, NULL, test_unexpiring, NULL);
    ADD(not_kept);
    ADD(udp_writes);
    ADD(udp_doubts);
    ADD(flush_later);
    ADD(fill_races);
    ADD(same_id);
    ADD(strange_answer);
    ADD(many_datagrams);
    ADD(two_writers);
    ADD(gaps);
    ADD(flush);
    ADD(fragments);
    ADD(tcp_writes);
    ADD(tcp_knows);
    ADD(tcp_cuts);
    ADD(tcp_order);
    ADD(tcp_pipeline);
    ADD(tcp_doubts);
    ADD(tcp_strangers);
    ADD(tcp_damage);
    ADD(explain);
    ADD(sweep);
    ADD(cost);
    ADD(memory);
    return g_test_run();
}
