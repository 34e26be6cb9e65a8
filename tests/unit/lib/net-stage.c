/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network namespace with an uplink, a bridge and a tap. */
#include "lib/net-stage.h"

#include "lib/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 10000
#define TAGGED 4
#define PAYLOAD 28

const guint8 net_stage_mac[6] = {0x52, 0x54, 0, 1, 2, 3};

void net_stage_run(const char *format, ...)
{
    g_autofree char *line = NULL;
    g_autofree char *said = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;
    va_list arguments;

    va_start(arguments, format);
    line = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_spawn_command_line_sync(line, NULL, &said, &status, &error);
    g_assert_no_error(error);
    if (!g_spawn_check_wait_status(status, NULL))
        g_error("%s: %s", line, said);
}

bool net_stage_can(const char *line)
{
    int status = -1;

    g_spawn_command_line_sync(line, NULL, NULL, &status, NULL);
    return g_spawn_check_wait_status(status, NULL);
}

static int open_tap(void)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    strcpy(request.ifr_name, NET_STAGE_TAP);
    g_assert_cmpint(ioctl(fd, TUNSETIFF, &request), ==, 0);
    return fd;
}

static int open_client(void)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

    address.sll_ifindex = (int)if_nametoindex("client0");
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

static void warm_up(struct net_stage *stage);

/* As `ethtool -K ... rxvlan off` does. */
static void show_tags(const char *name)
{
    struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
    struct ifreq request = {.ifr_data = (void *)&value};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strcpy(request.ifr_name, name);
    g_assert_cmpint(ioctl(fd, SIOCETHTOOL, &request), ==, 0);
    value.cmd = ETHTOOL_SFLAGS;
    value.data &= ~(guint32)ETH_FLAG_RXVLAN;
    g_assert_cmpint(ioctl(fd, SIOCETHTOOL, &request), ==, 0);
    close(fd);
}

struct net_stage *net_stage_new(void)
{
    struct net_stage *stage = NULL;
    g_autofree char *pins = g_dir_make_tmp("vhint-bpffs-XXXXXX", NULL);

    if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) {
        rmdir(pins);
        g_test_skip("a network namespace takes root");
        return NULL;
    }
    if (access("/dev/net/tun", R_OK | W_OK) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("bpf", pins, "bpf", 0, NULL) < 0) {
        rmdir(pins);
        g_test_skip("there is no /dev/net/tun, or no bpffs can be mounted");
        return NULL;
    }
    stage = g_new0(struct net_stage, 1);
    stage->pins = g_steal_pointer(&pins);
    net_stage_run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    net_stage_run("ip link add client0 type veth peer name " NET_STAGE_UPLINK);
    net_stage_run("ip link add " NET_STAGE_BRIDGE " type bridge mcast_snooping 0");
    stage->tap = open_tap();
    net_stage_run("ip link set " NET_STAGE_UPLINK " master " NET_STAGE_BRIDGE);
    net_stage_run("ip link set " NET_STAGE_TAP " master " NET_STAGE_BRIDGE);
    show_tags(NET_STAGE_UPLINK);
    net_stage_run("ip link set client0 up");
    net_stage_run("ip link set " NET_STAGE_UPLINK " up");
    net_stage_run("ip link set " NET_STAGE_BRIDGE " up");
    net_stage_run("ip link set " NET_STAGE_TAP " up");
    stage->client = open_client();
    warm_up(stage);
    return stage;
}

static void test_nothing(void)
{
    g_test_skip("a network namespace takes root, /dev/net/tun and a bpffs");
}

struct net_stage *net_stage_begin(const char *test)
{
    struct net_stage *stage = net_stage_new();

    if (!stage)
        g_test_add_func(test, test_nothing);
    return stage;
}

void net_stage_free(struct net_stage *stage)
{
    if (!stage)
        return;
    if (stage->tap >= 0)
        close(stage->tap);
    close(stage->client);
    umount2(stage->pins, MNT_DETACH);
    rmdir(stage->pins);
    g_free(stage->pins);
    g_free(stage);
}

static guint16 checksum(const guint8 *bytes, gsize size)
{
    guint32 sum = 0;

    for (gsize i = 0; i < size; i += 2)
        sum += (guint32)bytes[i] << 8 | bytes[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return (guint16) ~((sum & 0xffff) + (sum >> 16));
}

/* Returns its size. */
static gsize make(guint8 *packet, const guint8 *to, guint8 from, int vlan, char command)
{
    static const guint8 header[] = {0x45, 0, 0, 64, 0, 0, 0, 0, 64, 17, 0, 0, 10,
                                    0,    0, 1, 10, 0, 0, 2, 1, 1,  2,  2, 0, 44};
    gsize at = ETH_HLEN + (vlan >= 0 ? TAGGED : 0);
    guint16 sum = 0;

    memset(packet, 0, 100);
    memcpy(packet, to, ETH_ALEN);
    packet[6] = 2;
    packet[11] = from;
    if (vlan >= 0)
        memcpy(packet + 12, (guint8[]){0x81, 0, (guint8)(vlan >> 8), (guint8)vlan}, 4);
    memcpy(packet + at - 2, (guint8[]){8, 0}, 2);
    memcpy(packet + at, header, sizeof(header));
    sum = checksum(packet + at, 20);
    memcpy(packet + at + 10, (guint8[]){(guint8)(sum >> 8), (guint8)sum}, 2);
    packet[at + PAYLOAD] = (guint8)command;
    return 64 + at;
}

void net_stage_send(struct net_stage *stage, int vlan, char command)
{
    guint8 packet[128];
    gsize size = make(packet, net_stage_mac, 1, vlan, command);

    g_assert_cmpint(send(stage->client, packet, size, 0), ==, (int)size);
}

void net_stage_reply(struct net_stage *stage, char command)
{
    static const guint8 to[6] = {2, 0, 0, 0, 0, 1};
    guint8 packet[128];
    gsize size = make(packet, to, 9, -1, command);

    g_assert_cmpint(write(stage->tap, packet, size), ==, (int)size);
}

/* 0: it is none of ours. */
static char command_of(const guint8 *packet, gssize size)
{
    gsize at = ETH_HLEN + (size > ETH_HLEN && packet[12] == 0x81 ? TAGGED : 0);

    return size > (gssize)at + PAYLOAD && packet[at] == 0x45 && packet[at + 9] == 17
               ? (char)packet[at + PAYLOAD]
               : 0;
}

/* A bridge's port takes its time to find that it has a carrier. */
static void warm_up(struct net_stage *stage)
{
    guint8 packet[2048];
    g_autofree char *rest = NULL;

    LOOP_UNTIL(command_of(packet, read(stage->tap, packet, sizeof(packet))) == 'w')
    net_stage_send(stage, -1, 'w');
    net_stage_send(stage, -1, 'z');
    rest = net_stage_until(stage, 'z');
}

static char *until(int fd, char last)
{
    GString *seen = g_string_new(NULL);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    guint8 packet[2048];
    char command = 0;

    while (command != last) {
        if (poll(&wait, 1, WAIT_MS) <= 0)
            g_error("'%c' has not come, but \"%s\"", last, seen->str);
        command = command_of(packet, read(fd, packet, sizeof(packet)));
        if (command)
            g_string_append_c(seen, command);
    }
    return g_string_free(seen, FALSE);
}

char *net_stage_until(struct net_stage *stage, char last)
{
    return until(stage->tap, last);
}

char *net_stage_back_until(struct net_stage *stage, char last)
{
    return until(stage->client, last);
}
