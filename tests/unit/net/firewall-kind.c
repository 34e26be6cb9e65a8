// SPDX-License-Identifier: GPL-2.0-or-later
// host/net/firewall-kind.c: from what a guest tells to programs in the kernel, one instance after
// the other.
#include "net/firewall-kind.h"

#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "guest-rules.h"
#include "lib/netspace.h"

#define PLENTY ((guint64)1 << 30)

static const char drops[] =
    "table inet t { chain in { type filter hook input priority 0; tcp dport 80 drop; "
    "tcp dport 81 log drop; } } ";

/* What gather would make of a guest with one card and these rules. */
static GBytes *wants_of(const char *rules, guint32 flags)
{
    g_autoptr(GByteArray) whole = g_byte_array_new();
    g_autoptr(GBytes) dump = NULL;
    struct vh_rules_head head = {.magic = VH_RULES_MAGIC, .version = VH_RULES_VERSION, .links = 1};
    struct vh_rules_link link = {.index = 2, .flags = VH_RULES_LINK_DEVICE, .name = "eth0"};
    guint32 prefix[2] = {0, flags};
    uLongf size = 0;
    guint8 *all = NULL;

    netspace_set(rules);
    dump = netspace_dump();
    head.dump = (guint32)g_bytes_get_size(dump);
    g_byte_array_append(whole, (const guint8 *)&head, sizeof(head));
    g_byte_array_append(whole, (const guint8 *)&link, sizeof(link));
    g_byte_array_append(whole, g_bytes_get_data(dump, NULL), head.dump);
    size = compressBound(whole->len);
    all = g_malloc(8 + size);
    prefix[0] = whole->len;
    memcpy(all, prefix, 8);
    g_assert_cmpint(compress2(all + 8, &size, whole->data, whole->len, 1), ==, Z_OK);
    return g_bytes_new_take(all, 8 + size);
}

static VhNetMaps *maps_new(void)
{
    g_autoptr(GError) error = NULL;
    VhNetMaps *maps = vh_net_maps_new(HOST_BPF, NULL, &error);

    g_assert_no_error(error);
    return maps;
}

static void test_load(void)
{
    const struct vh_slot_kind *kind = &vh_net_firewall;
    g_autoptr(VhNetMaps) maps = maps_new();
    g_autoptr(GBytes) wants = wants_of(drops, VH_RULES_CONNTRACK);
    struct vh_slot_order order = {.wants = wants, .memory = PLENTY};
    g_autoptr(GError) error = NULL;
    VhSlot *first = kind->load(maps, &order, &error);
    VhSlot *second = NULL;
    g_autofree char *left_out = NULL;

    g_assert_no_error(error);
    for (guint hook = 0; hook < VH_HOOKS; hook++)
        g_assert_cmpint(kind->program(first, (enum vh_hook)hook), >=, 0);
    g_assert_cmpuint(kind->hits(first), ==, 0);
    left_out = kind->explain(first);
    g_assert_nonnull(strstr(left_out, "flows are not known"));
    g_assert_nonnull(strstr(left_out, "table t, chain in, rule "));
    kind->act(first, true);
    order.former = first;
    second = kind->load(maps, &order, &error);
    g_assert_no_error(error);
    kind->free(first);
    kind->act(second, true);
    kind->free(second);
}

static void refused(const char *rules, guint64 memory, const char *why)
{
    g_autoptr(VhNetMaps) maps = maps_new();
    g_autoptr(GBytes) wants = wants_of(rules, 0);
    const struct vh_slot_order order = {.wants = wants, .memory = memory};
    g_autoptr(GError) error = NULL;

    g_assert_null(vh_net_firewall.load(maps, &order, &error));
    g_assert_error(error, VH_ERROR, VH_ERROR_REFUSED);
    if (!strstr(error->message, why))
        g_error("%s", error->message);
}

static void test_refused(void)
{
    refused("table inet t { }", PLENTY, "no rule of the guest's drops");
    refused(drops, 4096, "offload-memory allows 4");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!netspace_enter()) {
        g_print("1..0 # SKIP a network namespace with nf_tables is needed, and nft\n");
        return 77;
    }
    g_test_add_func("/net/firewall-kind/load", test_load);
    g_test_add_func("/net/firewall-kind/refused", test_refused);
    return g_test_run();
}
