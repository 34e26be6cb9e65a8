// SPDX-License-Identifier: GPL-2.0-or-later
// host/nft/: what a real kernel tells is understood, and no byte of it that is changed or missing
// makes the reader do more than refuse.
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "lib/netspace.h"
#include "nft/model.h"

static const char rules_text[] =
    "table inet t { set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 } } "
    "chain c { tcp dport 80 counter drop; } "
    "chain in { type filter hook input priority 10; policy drop; "
    "ip saddr @s tcp dport vmap { 22 : accept, 23-25 : jump c }; log prefix \"x\" accept; } } "
    "table ip6 u { chain c { } } ";

static VhNftRules *read_bytes(GBytes *bytes, const char *refused)
{
    g_autoptr(GError) error = NULL;
    VhNftRules *rules = vh_nft_read(bytes, &error);

    if (refused) {
        g_assert_null(rules);
        g_assert_nonnull(strstr(error->message, refused));
    } else {
        g_assert_no_error(error);
    }
    return rules;
}

static enum vh_nft_expr_kind kind_at(const VhNftRules *rules, guint rule, guint expr)
{
    const struct vh_nft_rule *of = g_ptr_array_index(rules->rules, rule);

    g_assert_cmpuint(expr, <, of->exprs->len);
    return g_array_index(of->exprs, struct vh_nft_expr, expr).kind;
}

static void test_model(void)
{
    g_autoptr(GBytes) dump = NULL;
    g_autoptr(VhNftRules) rules = NULL;
    const struct vh_nft_chain *in = NULL;

    netspace_set(rules_text);
    dump = netspace_dump();
    rules = read_bytes(dump, NULL);
    g_assert_cmpuint(rules->tables->len, ==, 2);
    g_assert_cmpuint(rules->chains->len, ==, 3);
    g_assert_cmpuint(rules->rules->len, ==, 3);
    g_assert_cmpuint(rules->sets->len, ==, 2);
    in = g_ptr_array_index(rules->chains, 1);
    g_assert_cmpstr(in->name, ==, "in");
    g_assert_true(in->base && in->drops && in->priority == 10 && in->type == VH_NFT_FILTER);
    g_assert_cmpint(kind_at(rules, 0, 0), ==, VH_NFT_META);
    g_assert_cmpint(kind_at(rules, 0, 2), ==, VH_NFT_PAYLOAD);
    g_assert_cmpint(kind_at(rules, 0, 4), ==, VH_NFT_COUNTER);
    g_assert_cmpint(kind_at(rules, 0, 5), ==, VH_NFT_VERDICT);
    g_assert_cmpint(kind_at(rules, 2, 0), ==, VH_NFT_EFFECT);
}

/* A dump is cut off anywhere. */
static void test_cut(void)
{
    g_autoptr(GBytes) dump = NULL;
    guint refused = 0;

    netspace_set(rules_text);
    dump = netspace_dump();
    for (gsize len = 0; len < g_bytes_get_size(dump); len++) {
        g_autoptr(GBytes) part = g_bytes_new(g_bytes_get_data(dump, NULL), len);
        g_autoptr(GError) error = NULL;
        g_autoptr(VhNftRules) rules = vh_nft_read(part, &error);

        refused += error != NULL;
        g_assert(!rules == !!error);
    }
    g_assert_cmpuint(refused, >, g_bytes_get_size(dump) / 2);
}

/* Each byte of it is another one. */
static void test_changed(void)
{
    g_autoptr(GBytes) dump = NULL;
    gsize len = 0;
    g_autofree guint8 *bytes = NULL;

    netspace_set(rules_text);
    dump = netspace_dump();
    len = g_bytes_get_size(dump);
    bytes = g_memdup2(g_bytes_get_data(dump, NULL), len);
    for (gsize at = 0; at < len; at++) {
        static const guint8 changes[] = {0x01, 0x80, 0xff};

        for (gsize i = 0; i < sizeof(changes); i++) {
            g_autoptr(GBytes) changed = NULL;
            g_autoptr(GError) error = NULL;
            g_autoptr(VhNftRules) rules = NULL;

            bytes[at] ^= changes[i];
            changed = g_bytes_new(bytes, len);
            bytes[at] ^= changes[i];
            rules = vh_nft_read(changed, &error);
            g_assert(!rules == !!error);
        }
    }
}

static void test_refused(void)
{
    static const guint8 noise[] = {0xff, 0xff, 0xff, 0x7f, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    g_autoptr(GBytes) bytes = g_bytes_new_static(noise, sizeof(noise));
    g_autoptr(GBytes) large =
        g_bytes_new_take(g_malloc0(VH_NFT_BYTES_MAX + 1), VH_NFT_BYTES_MAX + 1);
    g_autoptr(GBytes) dump = NULL;
    g_autoptr(GBytes) twice = NULL;
    g_autoptr(GByteArray) joined = g_byte_array_new();

    read_bytes(bytes, "message 1: its length is wrong");
    read_bytes(large, "more than the limit of");
    netspace_set(rules_text);
    dump = netspace_dump();
    for (int i = 0; i < 2; i++)
        g_byte_array_append(joined, g_bytes_get_data(dump, NULL), (guint)g_bytes_get_size(dump));
    twice = g_byte_array_free_to_bytes(g_steal_pointer(&joined));
    read_bytes(twice, "a table comes twice");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!netspace_enter()) {
        g_print("1..0 # SKIP a network namespace with nf_tables is needed, and nft\n");
        return 77;
    }
    g_test_add_func("/nft/read/model", test_model);
    g_test_add_func("/nft/read/cut", test_cut);
    g_test_add_func("/nft/read/changed", test_changed);
    g_test_add_func("/nft/read/refused", test_refused);
    return g_test_run();
}
