/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/net/object.c, maps.c, and host-bpf/dispatch.bpf.c: the dispatcher calls slots, by MAC and
 * VLAN, within lease and budget, and counts. Packets are BPF_PROG_TEST_RUN's. */
#include "net/object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/dispatcher.h"

#define GUEST 3u
#define FOREVER (~0ull)
#define PLENTY (1ull << 40)
#define TC_PASS (-1)

static const guint8 mac[6] = {0x52, 0x54, 0, 1, 2, 3};

typedef struct {
    VhNetMaps *maps;
    VhNetObject *dispatcher, *slot;
} Fixture;

static int map_of(const Fixture *f, const char *name)
{
    int fd = vh_net_maps_fd(f->maps, name);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void lease(const Fixture *f, guint64 until, guint64 ns, guint64 packets)
{
    guint32 number = GUEST;
    const struct vh_lease value = {until, ns, packets};

    g_assert_cmpint(bpf_map_update_elem(map_of(f, "vh_guests"), &number, &value, 0), ==, 0);
}

static VhNetObject *load_slot(const Fixture *f, guint32 stage)
{
    g_autoptr(GError) error = NULL;
    VhNetObject *slot = vh_net_object_open(f->maps, "byte", &error);

    g_assert_no_error(error);
    vh_net_object_set(slot, "vh_test_stage", &stage, sizeof(stage));
    if (vh_net_object_load(slot, &error) < 0)
        g_error("%s", error->message);
    bpf_map_update_elem(bpf_object__find_map_fd_by_name(vh_net_object_bpf(slot), "test_state"),
                        &(guint32){0}, &(guint64){1}, 0);
    return slot;
}

static void put(const Fixture *f, const VhNetObject *slot, enum vh_hook hook, guint32 stage)
{
    g_autofree char *map = g_strconcat("vh_", vh_hook_names[hook], NULL);
    guint32 key = VH_SLOT(GUEST, stage);
    int fd = vh_net_object_program(slot, hook);

    g_assert_cmpint(bpf_map_update_elem(map_of(f, map), &key, &fd, 0), ==, 0);
}

static void stay_on_a_cpu(void)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void set_up(Fixture *f, gconstpointer data)
{
    const guint32 number = GUEST;
    struct vh_mac key = {.vlan = 0};

    (void)data;
    stay_on_a_cpu();
    f->dispatcher = dispatcher_new(GUEST, &f->maps);
    f->slot = load_slot(f, VH_STAGE_FIREWALL);
    memcpy(key.mac, mac, sizeof(mac));
    bpf_map_update_elem(map_of(f, "vh_macs"), &key, &number, 0);
    lease(f, FOREVER, PLENTY, PLENTY);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    vh_net_object_free(f->slot);
    vh_net_object_free(f->dispatcher);
    vh_net_maps_free(f->maps);
}

/* An IPv4 and UDP packet whose payload begins with `command`. What comes of it at the hook. */
static int send_tagged(const Fixture *f, enum vh_hook hook, const guint8 *to, int vlan,
                       char command)
{
    guint8 packet[128] = {0};
    gsize at = ETH_HLEN + (vlan >= 0 ? 4 : 0);
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = 100, .repeat = 1);

    memcpy(packet, to, 6);
    packet[6] = 2;
    if (vlan >= 0)
        memcpy(packet + 12, (guint8[]){0x81, 0, (guint8)(vlan >> 8), (guint8)vlan}, 4);
    memcpy(packet + at - 2, (guint8[]){8, 0, 0x45, 0}, 4);
    packet[at + 28] = (guint8)command;
    g_assert_cmpint(bpf_prog_test_run_opts(vh_net_object_program(f->dispatcher, hook), &opts), ==,
                    0);
    return (int)opts.retval;
}

static int send_packet(const Fixture *f, enum vh_hook hook, char command)
{
    return send_tagged(f, hook, mac, -1, command);
}

static struct vh_account account(const Fixture *f, enum vh_hook hook, guint32 stage)
{
    int cpus = libbpf_num_possible_cpus();
    g_autofree struct vh_account *all = g_new0(struct vh_account, (gsize)cpus);
    struct vh_account sum = {0};
    guint32 key = VH_ACCOUNT(GUEST, hook, stage);

    g_assert_cmpint(bpf_map_lookup_elem(map_of(f, "vh_accounts"), &key, all), ==, 0);
    for (int i = 0; i < cpus; i++) {
        sum.packets += all[i].packets;
        sum.dropped += all[i].dropped;
        sum.answered += all[i].answered;
        sum.over += all[i].over;
        sum.ns += all[i].ns;
    }
    return sum;
}

static void test_verdicts(Fixture *f, gconstpointer data)
{
    static const struct {
        enum vh_hook hook;
        int pass, drop, answer;
    } table[] = {{VH_HOOK_UPLINK, XDP_PASS, XDP_DROP, XDP_TX},
                 {VH_HOOK_EGRESS, TC_PASS, TC_ACT_SHOT, TC_ACT_REDIRECT},
                 {VH_HOOK_INGRESS, TC_PASS, TC_ACT_SHOT, TC_ACT_REDIRECT}};

    (void)data;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        struct vh_account of_it;

        g_assert_cmpint(send_packet(f, table[i].hook, 'D'), ==, table[i].pass);
        put(f, f->slot, table[i].hook, VH_STAGE_FIREWALL);
        g_assert_cmpint(send_packet(f, table[i].hook, 'P'), ==, table[i].pass);
        g_assert_cmpint(send_packet(f, table[i].hook, 'D'), ==, table[i].drop);
        g_assert_cmpint(send_packet(f, table[i].hook, 'A'), ==, table[i].answer);
        of_it = account(f, table[i].hook, VH_STAGE_FIREWALL);
        g_assert_cmpuint(of_it.packets, ==, 3);
        g_assert_cmpuint(of_it.dropped, ==, 1);
        g_assert_cmpuint(of_it.answered, ==, 1);
        g_assert_cmpuint(of_it.over, ==, 0);
        g_assert_cmpuint(of_it.ns, >, 0);
    }
}

/* Two slots: one passes on to the other, whatever stages are empty. */
static void test_stages(Fixture *f, gconstpointer data)
{
    (void)data;
    for (guint32 second = VH_STAGE_CACHE; second < VH_STAGES; second++) {
        g_autoptr(VhNetObject) slot = load_slot(f, second);

        put(f, f->slot, VH_HOOK_UPLINK, VH_STAGE_FIREWALL);
        put(f, slot, VH_HOOK_UPLINK, second);
        g_assert_cmpint(send_packet(f, VH_HOOK_UPLINK, 'P'), ==, XDP_PASS);
        g_assert_cmpuint(account(f, VH_HOOK_UPLINK, second).packets, ==, 1);
        g_assert_cmpint(send_packet(f, VH_HOOK_UPLINK, 'D'), ==, XDP_DROP);
        g_assert_cmpuint(account(f, VH_HOOK_UPLINK, second).packets, ==, 1);
    }
    g_assert_cmpuint(account(f, VH_HOOK_UPLINK, VH_STAGE_FIREWALL).packets, ==,
                     2 * (VH_STAGES - 1));
}

static void test_who(Fixture *f, gconstpointer data)
{
    static const guint8 other[6] = {0x52, 0x54, 0, 1, 2, 4};
    static const guint8 group[6] = {0x53, 0x54, 0, 1, 2, 3};
    const guint32 number = GUEST;
    struct vh_mac key = {.vlan = 5};

    (void)data;
    put(f, f->slot, VH_HOOK_UPLINK, VH_STAGE_FIREWALL);
    g_assert_cmpint(send_tagged(f, VH_HOOK_UPLINK, other, -1, 'D'), ==, XDP_PASS);
    g_assert_cmpint(send_tagged(f, VH_HOOK_UPLINK, group, -1, 'D'), ==, XDP_PASS);
    g_assert_cmpint(send_tagged(f, VH_HOOK_UPLINK, mac, 5, 'D'), ==, XDP_PASS);
    memcpy(key.mac, mac, sizeof(mac));
    bpf_map_update_elem(map_of(f, "vh_macs"), &key, &number, 0);
    g_assert_cmpint(send_tagged(f, VH_HOOK_UPLINK, mac, 5, 'D'), ==, XDP_DROP);
    g_assert_cmpint(send_tagged(f, VH_HOOK_UPLINK, mac, 6, 'D'), ==, XDP_PASS);
    /* A tag of VLAN 0 has a priority, and means none. */
    g_assert_cmpint(send_tagged(f, VH_HOOK_UPLINK, mac, 0, 'D'), ==, XDP_DROP);
    /* On a tap all is its guest's. */
    put(f, f->slot, VH_HOOK_EGRESS, VH_STAGE_FIREWALL);
    g_assert_cmpint(send_tagged(f, VH_HOOK_EGRESS, other, -1, 'D'), ==, TC_ACT_SHOT);
    g_assert_cmpint(send_tagged(f, VH_HOOK_EGRESS, mac, 7, 'D'), ==, TC_ACT_SHOT);
}

static void test_lease(Fixture *f, gconstpointer data)
{
    (void)data;
    put(f, f->slot, VH_HOOK_UPLINK, VH_STAGE_FIREWALL);
    lease(f, (guint64)g_get_monotonic_time() * 1000, PLENTY, PLENTY);
    g_assert_cmpint(send_packet(f, VH_HOOK_UPLINK, 'D'), ==, XDP_PASS);
    lease(f, ((guint64)g_get_monotonic_time() + 60 * G_USEC_PER_SEC) * 1000, PLENTY, PLENTY);
    g_assert_cmpint(send_packet(f, VH_HOOK_UPLINK, 'D'), ==, XDP_DROP);
    lease(f, 0, PLENTY, PLENTY);
    g_assert_cmpint(send_packet(f, VH_HOOK_UPLINK, 'D'), ==, XDP_PASS);
}

/* Which period it is. */
static guint64 period(void)
{
    return (guint64)g_get_monotonic_time() * 1000 >> VH_BUDGET_SHIFT;
}

/* In each period as many packets as the budget has, and no more; then they pass, counted. Tried
 * until no period ends meanwhile. */
static void test_budget(Fixture *f, gconstpointer data)
{
    guint64 most = 2 * VH_BUDGET_CHUNKS;
    guint64 begin = 0;
    guint dropped = 0;
    guint64 over = 0;

    (void)data;
    put(f, f->slot, VH_HOOK_UPLINK, VH_STAGE_FIREWALL);
    lease(f, FOREVER, PLENTY, 2);
    do {
        begin = period();
        while (period() == begin)
            ;
        begin = period();
        dropped = 0;
        over = account(f, VH_HOOK_UPLINK, VH_STAGE_FIREWALL).over;
        for (guint i = 0; i < most + 10; i++)
            dropped += send_packet(f, VH_HOOK_UPLINK, 'D') == XDP_DROP;
    } while (period() != begin);
    g_assert_cmpuint(dropped, ==, most);
    g_assert_cmpuint(account(f, VH_HOOK_UPLINK, VH_STAGE_FIREWALL).over - over, ==, 10);
    /* Time is a budget, too: none of it means that each CPU's chunk is used up at once. */
    lease(f, FOREVER, 1, PLENTY);
    do {
        begin = period();
        while (period() == begin)
            ;
        begin = period();
        dropped = 0;
        for (guint i = 0; i < most; i++)
            dropped += send_packet(f, VH_HOOK_UPLINK, 'D') == XDP_DROP;
    } while (period() != begin);
    g_assert_cmpuint(dropped, ==, VH_BUDGET_CHUNKS);
}

static void test_refused(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_net_maps_new("/nonexistent", NULL, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_FAILED);
}

static void test_root(void)
{
    g_test_skip("loading BPF takes root");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    libbpf_set_print(NULL);
    if (geteuid() != 0) {
        g_test_add_func("/net/object", test_root);
        return g_test_run();
    }
#define ADD(name) g_test_add("/net/object/" #name, Fixture, NULL, set_up, test_##name, tear_down)
    ADD(verdicts);
    ADD(stages);
    ADD(who);
    ADD(lease);
    ADD(budget);
    g_test_add_func("/net/object/refused", test_refused);
    return g_test_run();
}
