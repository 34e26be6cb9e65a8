/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/net/net.c and what it has the net thread do: on a real uplink and tap, with a kind of slot
 * that packets tell what to do. */
#include "net/net.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <unistd.h>

#include "lib/byte-kind.h"
#include "lib/loop.h"
#include "lib/net-stage.h"

#define GUEST "web"
#define HOUR ((gint64)3600 * G_USEC_PER_SEC)

static struct net_stage *stage;

typedef struct {
    VhNet *net;
    GHashTable *states; /* guest -> the last VhNetState */
} Fixture;

static void on_told(VhNetState *state, gpointer data)
{
    Fixture *f = data;

    g_hash_table_replace(f->states, state->guest, state);
}

static void begin(Fixture *f)
{
    const struct vh_net_place place = {SLOT_OBJECTS, stage->pins, byte_kinds};
    g_autoptr(GError) error = NULL;

    f->net = vh_net_new(&place, on_told, f, &error);
    g_assert_no_error(error);
}

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->states =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)vh_net_state_free);
    begin(f);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    vh_net_free(f->net, false);
    g_hash_table_unref(f->states);
}

static VhNetWish *wish_of(const char *guest, const char *wants)
{
    VhNetWish *wish = g_new0(VhNetWish, 1);

    wish->guest = g_strdup(guest);
    wish->nics = 1;
    strcpy(wish->nic[0].tap, NET_STAGE_TAP);
    memcpy(wish->nic[0].mac, net_stage_mac, 6);
    wish->uplink = g_strdup(NET_STAGE_UPLINK);
    wish->cycles = 100;
    wish->wants[VH_STAGE_FIREWALL] = wants ? g_bytes_new(wants, strlen(wants)) : NULL;
    wish->acts[VH_STAGE_FIREWALL] = true;
    return wish;
}

static const VhNetState *state_of(Fixture *f, const char *guest)
{
    g_hash_table_remove(f->states, guest);
    vh_net_look(f->net, guest);
    LOOP_UNTIL(g_hash_table_contains(f->states, guest));
    return g_hash_table_lookup(f->states, guest);
}

static const VhNetState *want(Fixture *f, VhNetWish *wish)
{
    g_autofree char *guest = g_strdup(wish->guest);

    g_hash_table_remove(f->states, guest);
    g_assert_true(vh_net_want(f->net, wish));
    LOOP_UNTIL(g_hash_table_contains(f->states, guest));
    return g_hash_table_lookup(f->states, guest);
}

/* Whether what is to be dropped is; otherwise it comes to the guest. */
static bool drops(void)
{
    g_autofree char *seen = NULL;

    net_stage_send(stage, -1, 'D');
    net_stage_send(stage, -1, 'z');
    seen = net_stage_until(stage, 'z');
    return g_str_equal(seen, "z");
}

static gint64 later(gint64 us)
{
    return g_get_monotonic_time() + us;
}

static const struct vh_net_hook *hook_of(const VhNetState *state, enum vh_hook hook)
{
    for (unsigned i = 0; i < state->hooks; i++)
        if (state->hook[i].hook == hook)
            return &state->hook[i];
    return NULL;
}

static bool has_xdp(void)
{
    return net_stage_can("sh -c 'ip -d link show dev " NET_STAGE_UPLINK " | grep -q xdp'");
}

/* As slots see it: of all guests. */
static guint64 gaps(void)
{
    g_autofree char *pin = g_build_filename(stage->pins, "vh_gaps", NULL);
    int map = bpf_obj_get(pin);
    guint64 sum = 0;

    g_assert_cmpint(map, >=, 0);
    for (guint32 number = 0; number < VH_NET_GUESTS; number++) {
        guint64 value = 0;

        g_assert_cmpint(bpf_map_lookup_elem(map, &number, &value), ==, 0);
        sum += value;
    }
    close(map);
    return sum;
}

static void test_want(Fixture *f, gconstpointer data)
{
    guint64 before = gaps();
    const VhNetState *state = want(f, wish_of(GUEST, "a"));
    guint64 after = gaps();

    (void)data;
    /* Packets may have passed before its hooks were attached to; what is there stays. */
    g_assert_cmpuint(after, >, before);
    state = want(f, wish_of(GUEST, "a"));
    g_assert_cmpuint(gaps(), ==, after);
    g_assert_true(state->offload[VH_STAGE_FIREWALL].loaded);
    g_assert_true(state->offload[VH_STAGE_FIREWALL].acts);
    g_assert_cmpstr(state->offload[VH_STAGE_FIREWALL].problem, ==, NULL);
    g_assert_cmpstr(state->offload[VH_STAGE_FIREWALL].left_out, ==, "a");
    g_assert_cmpuint(state->hooks, ==, 3);
    for (enum vh_hook hook = VH_HOOK_UPLINK; hook < VH_HOOKS; hook++) {
        g_assert_true(hook_of(state, hook)->attached);
        g_assert_cmpstr(hook_of(state, hook)->problem, ==, NULL);
    }
    g_assert_cmpint(hook_of(state, VH_HOOK_UPLINK)->mode, ==, VH_ATTACH_NATIVE);
    g_assert_cmpstr(hook_of(state, VH_HOOK_INGRESS)->interface, ==, NET_STAGE_TAP);
    /* Without a lease nothing is done, and with one no longer than that. */
    g_assert_false(drops());
    g_assert_true(vh_net_renew(f->net, GUEST, later(HOUR)));
    g_assert_true(drops());
    g_assert_true(vh_net_renew(f->net, GUEST, later(G_USEC_PER_SEC / 2)));
    LOOP_UNTIL(!drops());
    state = state_of(f, GUEST);
    g_assert_cmpuint(state->offload[VH_STAGE_FIREWALL].account[VH_HOOK_UPLINK].dropped, >=, 1);
    g_assert_cmpuint(state->offload[VH_STAGE_FIREWALL].account[VH_HOOK_EGRESS].dropped, ==, 0);
    g_assert_cmpuint(state->offload[VH_STAGE_FIREWALL].hits, >=, 1);
}

/* At once, whatever the net thread does; then nothing of it is left. */
static void test_stop(Fixture *f, gconstpointer data)
{
    (void)data;
    want(f, wish_of(GUEST, "a"));
    vh_net_renew(f->net, GUEST, later(HOUR));
    g_assert_true(drops());
    vh_net_stop(f->net, GUEST);
    g_assert_false(drops());
    g_assert_false(vh_net_renew(f->net, GUEST, later(HOUR)));
    LOOP_UNTIL(!has_xdp());
    vh_net_stop(f->net, GUEST);
}

/* What was loaded for something else sees no packet once that is known. */
static void test_change(Fixture *f, gconstpointer data)
{
    const VhNetState *state = NULL;

    (void)data;
    want(f, wish_of(GUEST, "a"));
    vh_net_renew(f->net, GUEST, later(HOUR));
    g_assert_true(drops());
    g_hash_table_remove_all(f->states);
    vh_net_want(f->net, wish_of(GUEST, "b"));
    g_assert_false(vh_net_renew(f->net, GUEST, later(HOUR)));
    g_assert_false(drops());
    LOOP_UNTIL(g_hash_table_contains(f->states, GUEST));
    g_assert_true(vh_net_renew(f->net, GUEST, later(HOUR)));
    g_assert_true(drops());
    /* Only to count needs no new slot, and no new lease. */
    state = want(f, ({
                     VhNetWish *wish = wish_of(GUEST, "b");
                     wish->acts[VH_STAGE_FIREWALL] = false;
                     wish;
                 }));
    g_assert_false(state->offload[VH_STAGE_FIREWALL].acts);
    g_assert_false(drops());
    /* One was dropped at the uplink, the other counted there and at the tap. */
    g_assert_cmpuint(state_of(f, GUEST)->offload[VH_STAGE_FIREWALL].hits, ==, 3);
    /* One that is refused takes the former one along. */
    state = want(f, wish_of(GUEST, "refuse"));
    g_assert_false(state->offload[VH_STAGE_FIREWALL].loaded);
    g_assert_cmpstr(state->offload[VH_STAGE_FIREWALL].problem, ==, "it says so");
    g_assert_cmpuint(state->hooks, ==, 0);
    vh_net_renew(f->net, GUEST, later(HOUR));
    g_assert_false(drops());
}

static void test_places(Fixture *f, gconstpointer data)
{
    VhNetWish *wish = wish_of(GUEST, "a");
    const VhNetState *state = NULL;

    (void)data;
    /* Without an uplink the tap does it. */
    g_clear_pointer(&wish->uplink, g_free);
    state = want(f, wish);
    g_assert_null(hook_of(state, VH_HOOK_UPLINK));
    vh_net_renew(f->net, GUEST, later(HOUR));
    g_assert_true(drops());
    g_assert_cmpuint(state_of(f, GUEST)->offload[0].account[VH_HOOK_EGRESS].dropped, ==, 1);
    /* One that does not lead to the guest. */
    wish = wish_of(GUEST, "a");
    g_free(wish->uplink);
    wish->uplink = g_strdup("client0");
    state = want(f, wish);
    g_assert_false(hook_of(state, VH_HOOK_UPLINK)->attached);
    g_assert_nonnull(hook_of(state, VH_HOOK_UPLINK)->problem);
    g_assert_true(drops());
    wish = wish_of(GUEST, "a");
    strcpy(wish->nic[0].tap, "nowhere0");
    state = want(f, wish);
    g_assert_cmpstr(hook_of(state, VH_HOOK_EGRESS)->problem, ==, "there is no interface nowhere0");
    vh_net_renew(f->net, GUEST, later(HOUR));
    g_assert_false(drops());
}

/* Two guests with one MAC: at the uplink it is nobody's, until one of them has gone. */
static void test_shared_mac(Fixture *f, gconstpointer data)
{
    VhNetWish *wish = wish_of("other", "b");
    const VhNetState *state = NULL;

    (void)data;
    want(f, wish_of(GUEST, "a"));
    vh_net_renew(f->net, GUEST, later(HOUR));
    /* One tap is one guest's. */
    state = want(f, wish_of("third", "c"));
    g_assert_cmpstr(hook_of(state, VH_HOOK_EGRESS)->problem, ==, "another guest has tap0, too");
    vh_net_stop(f->net, "third");
    net_stage_run("ip tuntap add tap1 mode tap");
    net_stage_run("ip link set tap1 master " NET_STAGE_BRIDGE);
    strcpy(wish->nic[0].tap, "tap1");
    state = want(f, wish);
    g_assert_nonnull(strstr(hook_of(state, VH_HOOK_UPLINK)->problem, "52:54:00:01:02:03, too"));
    g_assert_nonnull(hook_of(state_of(f, GUEST), VH_HOOK_UPLINK)->problem);
    g_assert_true(drops());
    state = state_of(f, GUEST);
    g_assert_cmpuint(state->offload[0].account[VH_HOOK_UPLINK].packets, ==, 0);
    g_assert_cmpuint(state->offload[0].account[VH_HOOK_EGRESS].dropped, ==, 1);
    vh_net_stop(f->net, "other");
    LOOP_UNTIL(!hook_of(state_of(f, GUEST), VH_HOOK_UPLINK)->problem);
    g_assert_true(drops());
    g_assert_cmpuint(state_of(f, GUEST)->offload[0].account[VH_HOOK_UPLINK].dropped, ==, 1);
}

/* The next one finds what was left, in force as long as its lease says, and takes it over. */
static void test_successor(Fixture *f, gconstpointer data)
{
    g_auto(GStrv) none = vh_net_left(f->net);
    g_auto(GStrv) left = NULL;
    g_auto(GStrv) then = NULL;
    const VhNetState *state = NULL;

    (void)data;
    g_assert_cmpuint(g_strv_length(none), ==, 0);
    want(f, wish_of(GUEST, "a"));
    want(f, wish_of("other", NULL));
    vh_net_renew(f->net, GUEST, later(HOUR));
    vh_net_free(f->net, true);
    g_assert_true(drops());
    begin(f);
    left = vh_net_left(f->net);
    g_assert_cmpuint(g_strv_length(left), ==, 2);
    g_assert_true(g_strv_contains((const char *const *)left, GUEST));
    g_assert_true(drops());
    vh_net_stop(f->net, "other");
    state = want(f, wish_of(GUEST, "a"));
    g_assert_cmpuint(state->offload[0].account[VH_HOOK_UPLINK].dropped, ==, 2);
    vh_net_renew(f->net, GUEST, later(HOUR));
    g_assert_true(drops());
    then = vh_net_left(f->net);
    g_assert_cmpuint(g_strv_length(then), ==, 0);
    /* One that takes nothing over: it is told to stop what was left. */
    vh_net_free(f->net, true);
    begin(f);
    vh_net_stop(f->net, GUEST);
    g_assert_false(drops());
    /* What was attached for it goes with the pins that nobody has taken over. */
    g_assert_true(has_xdp());
    vh_net_tidy(f->net);
    LOOP_UNTIL(!has_xdp());
    want(f, wish_of(GUEST, "a"));
    vh_net_tidy(f->net);
    g_assert_nonnull(hook_of(state_of(f, GUEST), VH_HOOK_UPLINK));
    g_assert_true(has_xdp());
}

static void test_full(Fixture *f, gconstpointer data)
{
    (void)data;
    for (guint i = 0; i < VH_NET_GUESTS; i++) {
        g_autofree char *name = g_strdup_printf("guest%u", i);

        g_assert_true(vh_net_want(f->net, wish_of(name, NULL)));
    }
    g_assert_false(vh_net_want(f->net, wish_of("one-more", NULL)));
    vh_net_stop(f->net, "guest7");
    g_assert_true(vh_net_want(f->net, wish_of("one-more", NULL)));
}

int main(int argc, char **argv)
{
    int result = 0;

    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    stage = net_stage_begin("/net/net");
    if (!stage)
        return g_test_run();
#define ADD(name) g_test_add("/net/net/" #name, Fixture, NULL, set_up, test_##name, tear_down)
    ADD(want);
    ADD(stop);
    ADD(change);
    ADD(places);
    ADD(shared_mac);
    ADD(successor);
    ADD(full);
    result = g_test_run();
    net_stage_free(stage);
    return result;
}
