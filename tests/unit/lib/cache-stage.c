// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/cache-stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/dispatcher.h"
#include "lib/loop.h"
#include "net/attach.h"

#define GUEST 1u
#define MEMORY (8u << 20)
#define MAC "52:54:00:01:02:03"

struct cache_stage_own {
    VhNetMaps *maps;
    VhNetObject *dispatcher;
    VhAttach *attached[VH_HOOKS];
    Wire *outside, *inside;
    pid_t memcached;
};

void cache_stage_enter(int namespace)
{
    g_assert_cmpint(setns(namespace, CLONE_NEWNET), ==, 0);
}

static void run(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void run(const char *format, ...)
{
    g_autofree char *line = NULL;
    g_autofree char *said = NULL;
    int status = 0;
    va_list arguments;

    va_start(arguments, format);
    line = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (!g_spawn_command_line_sync(line, NULL, &said, &status, NULL) || status)
        g_error("%s: %s", line, said);
}

static int here(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* A namespace of its own with a tap in it, and this address. */
static int side(const char *tap, const char *address, const char *mac, int *fd)
{
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    *fd = wire_tap(tap);
    if (mac)
        run("ip link set %s address %s", tap, mac);
    run("ip address add %s/24 dev %s", address, tap);
    run("ip link set %s up", tap);
    run("ip link set lo up");
    return here();
}

static int host_tap(const char *name)
{
    int fd = wire_tap(name);

    run("ip link set %s master bridge0", name);
    run("ip link set %s up", name);
    return fd;
}

static void start(struct cache_stage *stage)
{
    char *argv[] = {"memcached", "-u",    "root", "-l",    CACHE_STAGE_ADDRESS,
                    "-p",        "11211", "-U",   "11211", "-t",
                    "4",         "-m",    "64",   NULL};
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setns(stage->guest, CLONE_NEWNET) == 0)
            execvp(argv[0], argv);
        _exit(127);
    }
    g_assert_cmpint(pid, >, 0);
    stage->own->memcached = pid;
}

static bool is_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(CACHE_STAGE_PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = false;

    inet_pton(AF_INET, CACHE_STAGE_ADDRESS, &address.sin_addr);
    open = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return open;
}

static void stop(struct cache_stage *stage)
{
    kill(stage->own->memcached, SIGKILL);
    waitpid(stage->own->memcached, NULL, 0);
}

void cache_stage_kill(struct cache_stage *stage)
{
    stop(stage);
    start(stage);
}

static void attach(struct cache_stage_own *own, enum vh_hook hook, const char *name)
{
    g_autoptr(GError) error = NULL;
    const struct vh_attach_place place = {
        .hook = hook, .interface = if_nametoindex(name), .name = name};

    own->attached[hook] =
        vh_attach_new(&place, vh_net_object_program(own->dispatcher, hook), &error);
    g_assert_no_error(error);
}

static void set_maps(struct cache_stage *stage)
{
    struct cache_stage_own *own = stage->own;
    const guint8 mac[6] = {0x52, 0x54, 0, 1, 2, 3};
    const guint32 number = GUEST;
    const struct vh_lease lease = {~0ull, 1ull << 40, 1ull << 40};
    struct vh_mac key = {.vlan = 0};
    guint32 at = VH_SLOT(GUEST, VH_STAGE_CACHE);

    memcpy(key.mac, mac, sizeof(mac));
    bpf_map_update_elem(vh_net_maps_fd(own->maps, "vh_macs"), &key, &number, 0);
    bpf_map_update_elem(vh_net_maps_fd(own->maps, "vh_guests"), &number, &lease, 0);
    for (guint hook = 0; hook < VH_HOOKS; hook++) {
        g_autofree char *map = g_strconcat("vh_", vh_hook_names[hook], NULL);
        int program = vh_net_cache.program(stage->slot, hook);

        g_assert_cmpint(bpf_map_update_elem(vh_net_maps_fd(own->maps, map), &at, &program, 0), ==,
                        0);
    }
}

/* Nothing was asked before the cache was there. */
static void settle(const struct cache_stage *stage)
{
    const struct vh_cache_told told = {.act = 1};
    const struct bpf_map *map = bpf_object__find_map_by_name(
        vh_net_object_bpf(vh_net_cache_object(stage->slot)), "cache_told");
    guint32 zero = 0;

    g_assert_cmpint(bpf_map_update_elem(bpf_map__fd(map), &zero, &told, 0), ==, 0);
}

static void load(struct cache_stage *stage)
{
    struct cache_stage_own *own = stage->own;
    const guint8 address[4] = {10, 0, 0, 1};
    struct vh_cache_wants wants = {.port = CACHE_STAGE_PORT};
    struct vh_slot_order order = {.number = GUEST, .memory = MEMORY};
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GError) error = NULL;

    memcpy(wants.addresses[0].bytes, address, sizeof(address));
    bytes = g_bytes_new(&wants, sizeof(wants));
    order.wants = bytes;
    own->dispatcher = dispatcher_new(GUEST, &own->maps);
    stage->slot = vh_net_cache.load(own->maps, &order, &error);
    if (!stage->slot)
        g_error("%s", error->message);
    set_maps(stage);
    attach(own, VH_HOOK_UPLINK, "uplink0");
    attach(own, VH_HOOK_EGRESS, "tap0");
    attach(own, VH_HOOK_INGRESS, "tap0");
    settle(stage);
}

struct cache_stage *cache_stage_new(const struct wire_faults *outside,
                                    const struct wire_faults *inside)
{
    struct cache_stage *stage = NULL;
    g_autofree char *memcached = g_find_program_in_path("memcached");
    int ends[4];

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0 || !memcached) {
        g_test_skip(
            "a network namespace takes root and /dev/net/tun; and there is to be memcached");
        return NULL;
    }
    stage = g_new0(struct cache_stage, 1);
    stage->own = g_new0(struct cache_stage_own, 1);
    stage->clients = side("client0", "10.0.0.2", NULL, &ends[0]);
    stage->guest = side("eth0", CACHE_STAGE_ADDRESS, MAC, &ends[3]);
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    stage->host = here();
    run("ip link add bridge0 type bridge mcast_snooping 0");
    run("ip address add 10.0.0.3/24 dev bridge0");
    run("ip link set bridge0 up");
    ends[1] = host_tap("uplink0");
    ends[2] = host_tap("tap0");
    load(stage);
    stage->own->outside = wire_new(ends[0], ends[1], outside);
    stage->own->inside = wire_new(ends[2], ends[3], inside);
    start(stage);
    LOOP_UNTIL(is_open());
    return stage;
}

void cache_stage_free(struct cache_stage *stage)
{
    struct cache_stage_own *own = stage->own;

    stop(stage);
    for (guint hook = 0; hook < VH_HOOKS; hook++)
        vh_attach_end(own->attached[hook]);
    wire_free(own->outside);
    wire_free(own->inside);
    vh_net_cache.free(stage->slot);
    vh_net_object_free(own->dispatcher);
    vh_net_maps_free(own->maps);
    close(stage->host);
    close(stage->clients);
    close(stage->guest);
    g_free(own);
    g_free(stage);
}
