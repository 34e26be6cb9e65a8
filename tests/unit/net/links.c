/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/net/links.c: the way from an uplink to a tap, by a table and by the kernel's word. */
#include "net/links.h"

#include <string.h>

#include "base/error.h"
#include "lib/net-stage.h"

static GArray *links_of(const struct vh_link_facts *all, gsize count)
{
    GArray *links = g_array_new(FALSE, TRUE, sizeof(*all));

    g_array_append_vals(links, all, (guint)count);
    return links;
}

#define ETH \
    { \
        .index = 1, .name = "eth0" \
    }
#define PORT \
    { \
        .index = 1, .name = "eth0", .master = 9 \
    }
#define TAP \
    { \
        .index = 2, .name = "tap0", .kind = "tun", .master = 9 \
    }
#define BRIDGE \
    { \
        .index = 9, .name = "br0", .kind = "bridge" \
    }
#define VLAN \
    { \
        .index = 3, .name = "eth0.5", .kind = "vlan", .master = 9, .lower = 1, .vlan = 5 \
    }
#define FILTERING \
    { \
        .index = 9, .name = "br0", .kind = "bridge", .filters = true \
    }
#define PORT_IN(id) \
    { \
        .index = 1, .name = "eth0", .master = 9, .pvid = id, .pvid_untagged = true \
    }
#define TAP_IN(id) \
    { \
        .index = 2, .name = "tap0", .master = 9, .pvid = id, .pvid_untagged = true \
    }

static void test_table(void)
{
    static const struct {
        struct vh_link_facts links[4];
        int vlan; /* -1: refused */
        const char *why;
    } table[] = {
        {{PORT, TAP, BRIDGE}, 0, NULL},
        {{ETH, TAP, BRIDGE, VLAN}, 5, NULL},
        {{PORT_IN(1), TAP_IN(1), FILTERING}, 0, NULL},
        {{PORT_IN(1), TAP_IN(7), FILTERING}, 7, NULL},
        {{PORT, TAP_IN(7), FILTERING}, 7, NULL},
        {{PORT, TAP, FILTERING}, -1, "tap0 has no VLAN of its own (PVID, untagged) in its bridge"},
        {{ETH, TAP_IN(7), FILTERING, VLAN}, -1, "packets for tap0 have two tags at eth0"},
        {{ETH, TAP, BRIDGE}, -1, "tap0 is in the bridge br0, and eth0 is not"},
        {{ETH, {.index = 2, .name = "tap0"}},
         -1,
         "tap0 is in no bridge, so nothing comes to it from eth0"},
        {{PORT, TAP, {.index = 9, .name = "ovs-system", .kind = "openvswitch"}},
         -1,
         "tap0 is in ovs-system, which is no bridge of the kernel's"},
        {{ETH}, -1, "there is no interface tap0"},
        {{TAP, BRIDGE}, -1, "there is no interface eth0"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        g_autoptr(GArray) links = links_of(table[i].links, 4);
        g_autoptr(GError) error = NULL;
        guint16 vlan = 99;
        int result = vh_links_path(links, "eth0", "tap0", &vlan, &error);

        g_assert_cmpstr(error ? error->message : NULL, ==, table[i].why);
        g_assert_cmpint(result < 0 ? -1 : vlan, ==, table[i].vlan);
    }
}

static void expect(int vlan)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) links = vh_links_read(&error);
    guint16 found = 99;
    int result = 0;

    g_assert_no_error(error);
    result = vh_links_path(links, NET_STAGE_UPLINK, NET_STAGE_TAP, &found, &error);
    g_assert_cmpint(result < 0 ? -1 : found, ==, vlan);
}

/* Not every kernel has it. */
static void test_filtering(void)
{
    if (!net_stage_can("ip link set " NET_STAGE_BRIDGE " type bridge vlan_filtering 1")) {
        g_test_message("this kernel's bridge does not filter by VLAN");
        return;
    }
    expect(0);
    net_stage_run("bridge vlan del dev " NET_STAGE_TAP " vid 1");
    expect(-1);
    net_stage_run("bridge vlan add dev " NET_STAGE_TAP " vid 30 pvid untagged");
    net_stage_run("bridge vlan add dev " NET_STAGE_UPLINK " vid 30");
    expect(30);
    net_stage_run("ip link set " NET_STAGE_BRIDGE " type bridge vlan_filtering 0");
}

static void test_kernel(void)
{
    struct net_stage *stage = net_stage_new();

    if (!stage)
        return;
    expect(0);
    test_filtering();
    net_stage_run("ip link set " NET_STAGE_UPLINK " nomaster");
    expect(-1);
    if (net_stage_can("ip link add link " NET_STAGE_UPLINK " name v40 type vlan id 40")) {
        net_stage_run("ip link set v40 master " NET_STAGE_BRIDGE);
        expect(40);
    }
    net_stage_run("ip link set " NET_STAGE_TAP " nomaster");
    expect(-1);
    net_stage_free(stage);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/links/table", test_table);
    g_test_add_func("/net/links/kernel", test_kernel);
    return g_test_run();
}
