// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel that stands for a guest's, and the host's programs beside it.
#include "lib/fw-world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net-stage.h"
#include "lib/netspace.h"

#define GUEST 5u
#define FOREVER (~0ull)
#define PLENTY (1ull << 40)

struct World {
    int wire;   /* the other end of eth0 */
    int raw[2]; /* what the guest's kernel sends through */
    VhNetMaps *maps;
    VhNetObject *dispatcher;
    VhFwInstance *instance;
    VhFwRows *rows;
    VhNftRules *rules;
    struct vh_fw_guest guest;
};

static const char oracle[] =
    "table inet oracle {\n"
    "set accepted4 { typeof ip id; flags dynamic; size 65536; }\n"
    "set accepted6 { typeof ip6 flowlabel; flags dynamic; size 65536; }\n"
    "chain early { type filter hook prerouting priority -401;\n"
    "ip frag-off & 0x3fff != 0 add @accepted4 { ip id }\n"
    "exthdr frag exists add @accepted6 { ip6 flowlabel }\n}\n"
    "chain pre { type filter hook prerouting priority 1000;\n"
    "fib daddr type != local meta nfproto ipv4 add @accepted4 { ip id }\n"
    "fib daddr type != local meta nfproto ipv6 add @accepted6 { ip6 flowlabel }\n}\n"
    "chain in { type filter hook input priority 1000;\n"
    "meta nfproto ipv4 add @accepted4 { ip id }\n"
    "meta nfproto ipv6 add @accepted6 { ip6 flowlabel }\n}\n}\n";

/* ---- the network ---- */

static void stay_on_a_cpu(void)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int open_wire(void)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
    int size = 8 << 20;

    address.sll_ifindex = (int)if_nametoindex("wire");
    g_assert_cmpint(fd, >=, 0);
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

static void sysctl(const char *name, const char *value)
{
    g_autofree char *path = g_strdup_printf("/proc/sys/net/%s", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    g_assert_cmpint(write(fd, value, strlen(value)), >, 0);
    close(fd);
}

/* The guest's end moves to a namespace of its own, and this process with it. */
static void build(World *world)
{
    int outside = -1;

    net_stage_run("ip link add wire address 02:00:00:00:00:02 type veth peer name eth0 address "
                  "52:54:00:01:02:03");
    sysctl("ipv6/conf/wire/disable_ipv6", "1");
    net_stage_run("ip link set wire up");
    world->wire = open_wire();
    outside = open("/proc/self/ns/net", O_RDONLY);
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    net_stage_run("nsenter --net=/proc/%d/fd/%d ip link set eth0 netns %d", getpid(), outside,
                  getpid());
    close(outside);
    sysctl("ipv6/conf/all/accept_dad", "0");
    sysctl("ipv6/conf/eth0/accept_dad", "0");
    sysctl("ipv6/conf/eth0/router_solicitations", "0");
    sysctl("ipv4/conf/all/rp_filter", "0");
    net_stage_run("ip link set lo up");
    net_stage_run("ip link set eth0 up");
    net_stage_run("ip address add 10.0.0.1/32 dev eth0");
    net_stage_run("ip -6 address add fd00::1/128 dev eth0 nodad");
    net_stage_run("ip route add default dev eth0 via 10.0.0.254 onlink");
    net_stage_run("ip -6 route add default dev eth0 via fe80::2");
    net_stage_run("ip neigh add 10.0.0.254 lladdr 02:00:00:00:00:02 dev eth0 nud permanent");
    net_stage_run("ip neigh add fe80::2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent");
    if (net_stage_can("ip link add link eth0 name eth0.10 type vlan id 10"))
        net_stage_run("ip link set eth0.10 up");
    for (int i = 0; i < 2; i++) {
        world->raw[i] = socket(i ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
        g_assert_cmpint(world->raw[i], >=, 0);
    }
}

static void add_range(GArray *ranges, vh_u128 lo, vh_u128 hi)
{
    struct vh_range range = {lo, hi};

    g_array_append_val(ranges, range);
}

static void describe(World *world)
{
    struct vh_fw_guest *guest = &world->guest;

    *guest = (struct vh_fw_guest){.links = {{.name = "eth0"}, {.name = "eth0.10", .vlan = 10}}};
    guest->links[0].index = if_nametoindex("eth0");
    guest->links[1].index = if_nametoindex("eth0.10");
    guest->link_count = guest->links[1].index ? 2 : 1;
    for (int i = 0; i < 2; i++) {
        guest->local[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
        guest->unseen[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    }
    add_range(guest->local[0], 0x0a000001, 0x0a000001);
    add_range(guest->local[0], 0x7f000000, 0x7fffffff);
    add_range(guest->local[1], (vh_u128)0xfd00 << 112 | 1, (vh_u128)0xfd00 << 112 | 1);
    add_range(guest->local[1], 1, 1);
}

static void load_dispatcher(World *world)
{
    g_autoptr(GError) error = NULL;
    const guint32 number = GUEST;
    const struct vh_lease lease = {FOREVER, PLENTY, PLENTY};
    struct vh_mac key = {.mac = {0x52, 0x54, 0, 1, 2, 3}};

    world->maps = vh_net_maps_new(HOST_BPF, NULL, &error);
    g_assert_no_error(error);
    world->dispatcher = vh_net_object_open(world->maps, "dispatch", &error);
    g_assert_no_error(error);
    vh_net_object_set(world->dispatcher, "vh_tap_guest", &number, sizeof(number));
    if (vh_net_object_load(world->dispatcher, &error))
        g_error("%s", error->message);
    bpf_map_update_elem(vh_net_maps_fd(world->maps, "vh_guests"), &number, &lease, 0);
    bpf_map_update_elem(vh_net_maps_fd(world->maps, "vh_macs"), &key, &number, 0);
    for (key.vlan = 10; key.vlan <= 11; key.vlan++)
        bpf_map_update_elem(vh_net_maps_fd(world->maps, "vh_macs"), &key, &number, 0);
}

World *world_new(void)
{
    World *world = g_new0(World, 1);

    stay_on_a_cpu();
    build(world);
    describe(world);
    load_dispatcher(world);
    return world;
}

void world_free(World *world)
{
    vh_fw_rows_free(world->rows);
    vh_nft_free(world->rules);
    vh_fw_instance_free(world->instance);
    vh_net_object_free(world->dispatcher);
    vh_net_maps_free(world->maps);
    for (int i = 0; i < 2; i++) {
        g_array_unref(world->guest.local[i]);
        g_array_unref(world->guest.unseen[i]);
        close(world->raw[i]);
    }
    close(world->wire);
    g_free(world);
}

/* ---- rules ---- */

static void put(const World *world)
{
    static const char *const maps[VH_HOOKS] = {"vh_uplink", "vh_egress", "vh_ingress"};
    guint32 key = VH_SLOT(GUEST, VH_STAGE_FIREWALL);

    for (guint hook = 0; hook < VH_HOOKS; hook++) {
        int fd = vh_fw_instance_program(world->instance, (enum vh_hook)hook);

        g_assert_cmpint(bpf_map_update_elem(vh_net_maps_fd(world->maps, maps[hook]), &key, &fd, 0),
                        ==, 0);
    }
}

static void load(World *world)
{
    static const guint8 mac[6] = {0x52, 0x54, 0, 1, 2, 3};
    g_autoptr(GError) error = NULL;
    g_autoptr(VhFwTables) tables = vh_fw_tables_new(world->rows, &error);
    g_autoptr(VhFwInstance) former = world->instance;
    guint32 complete = VH_FW_SIGHT_COMPLETE;

    g_assert_no_error(error);
    world->instance = vh_fw_instance_new(world->maps, tables, &world->guest, mac, former, &error);
    if (!world->instance)
        g_error("%s", error->message);
    g_assert_cmpint(vh_fw_instance_set_mode(world->instance, VH_FW_ON, &error), ==, 0);
    bpf_map_update_elem(vh_fw_instance_map(world->instance, "vh_fw_sight"), &complete,
                        &(guint32){1}, 0);
    put(world);
}

bool world_set(World *world, char **rules)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;
    g_autoptr(GBytes) dump = NULL;

    if (!netspace_set_most(rules))
        return false;
    dump = netspace_dump();
    vh_fw_rows_free(world->rows);
    vh_nft_free(world->rules);
    world->rules = vh_nft_read(dump, &error);
    g_assert_no_error(error);
    world->rows = vh_fw_translate(world->rules, &world->guest);
    load(world);
    /* What watches is not what is translated. */
    said = netspace_add(oracle);
    g_assert_cmpstr(said, ==, NULL);
    return true;
}

guint world_rules(const World *world)
{
    return world->rules->rules->len;
}

guint world_noted(const World *world)
{
    return world->rows->noted;
}

guint world_drops(const World *world)
{
    return world->rows->drops;
}

/* ---- packets ---- */

static int run(const World *world, enum vh_hook hook, const guint8 *bytes, gsize len)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = (guint32)len,
                .repeat = 1);

    g_assert_cmpint(bpf_prog_test_run_opts(vh_net_object_program(world->dispatcher, hook), &opts),
                    ==, 0);
    return (int)opts.retval;
}

/* What the guest's kernel has sent passes the host's program. */
static void drain(World *world)
{
    guint8 bytes[2048];
    ssize_t got = 0;

    while ((got = recv(world->wire, bytes, sizeof(bytes), 0)) > 0) {
        if (got >= ETH_HLEN + 20)
            run(world, VH_HOOK_INGRESS, bytes, (gsize)got);
    }
}

void world_answer(World *world, const struct world_packet *packet)
{
    struct sockaddr_in to4 = {.sin_family = AF_INET};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};

    memcpy(&to4.sin_addr, packet->bytes + 16, 4);
    memcpy(&to6.sin6_addr, packet->bytes + 24, 16);
    if (packet->v6)
        sendto(world->raw[1], packet->bytes, packet->len, 0, (struct sockaddr *)&to6, sizeof(to6));
    else
        sendto(world->raw[0], packet->bytes, packet->len, 0, (struct sockaddr *)&to4, sizeof(to4));
    drain(world);
}

bool world_send(World *world, const struct world_packet *packet)
{
    bool dropped = false;

    drain(world);
    dropped = run(world, VH_HOOK_EGRESS, packet->bytes, packet->len) == 2;
    /* Both kinds of programs say the same. */
    if (!(packet->bytes[0] & 1))
        g_assert_cmpint(run(world, VH_HOOK_UPLINK, packet->bytes, packet->len) == 1, ==, dropped);
    g_assert_cmpint(send(world->wire, packet->bytes, packet->len, 0), ==, (ssize_t)packet->len);
    return dropped;
}

/* ---- what the kernel saw ---- */

static void take_set(const struct vh_nft_set *set, GHashTable *ids)
{
    for (guint i = 0; i < set->elems->len; i++) {
        const struct vh_nft_bytes *key = &g_array_index(set->elems, struct vh_nft_elem, i).key;
        guint id = (guint)key->data[key->len - 2] << 8 | key->data[key->len - 1];

        g_hash_table_add(ids, GUINT_TO_POINTER(id));
    }
}

void world_look(World *world, struct world_seen *seen)
{
    static const char *const names[2][2] = {{"accepted4", "accepted6"}, {"touched4", "touched6"}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) dump = netspace_dump();
    g_autoptr(VhNftRules) rules = vh_nft_read(dump, &error);

    g_assert_no_error(error);
    drain(world);
    for (int i = 0; i < 2; i++) {
        seen->accepted[i] = g_hash_table_new(NULL, NULL);
        seen->touched[i] = g_hash_table_new(NULL, NULL);
    }
    for (guint i = 0; i < rules->sets->len; i++) {
        const struct vh_nft_set *set = g_ptr_array_index(rules->sets, i);

        for (int v6 = 0; v6 < 2; v6++) {
            if (!strcmp(set->name, names[0][v6]))
                take_set(set, seen->accepted[v6]);
            if (!strcmp(set->name, names[1][v6]))
                take_set(set, seen->touched[v6]);
        }
    }
}

void world_seen_clear(struct world_seen *seen)
{
    for (int i = 0; i < 2; i++) {
        g_hash_table_unref(seen->accepted[i]);
        g_hash_table_unref(seen->touched[i]);
    }
}
