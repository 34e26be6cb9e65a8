// SPDX-License-Identifier: GPL-2.0-or-later
// host/net/firewall-*.c: what becomes of a packet by rules in nft's own language, one kind of
// match, verdict or effect after the other. Each row's packets are given as values of fields; what
// is not named is that of a new TCP packet from 192.0.2.1 port 40000 to the guest's port 80.
#include <string.h>

#include "lib/netspace.h"
#include "net/firewall.h"

#define GUEST4 0x0a000001u /* 10.0.0.1 */
#define SOURCE4 0xc0000201u

typedef vh_u128 packet[VH_FW_FIELDS];

static void add_range(GArray *ranges, vh_u128 lo, vh_u128 hi)
{
    struct vh_range range = {lo, hi};

    g_array_append_val(ranges, range);
}

static vh_u128 address6(guint16 prefix, guint16 last)
{
    return (vh_u128)prefix << 112 | last;
}

static void guest_init(struct vh_fw_guest *guest)
{
    *guest = (struct vh_fw_guest){
        .links = {{.name = "eth0", .index = 2}, {.name = "eth0.10", .index = 3, .vlan = 10}},
        .link_count = 2};
    for (int i = 0; i < 2; i++) {
        guest->local[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
        guest->unseen[i] = g_array_new(FALSE, FALSE, sizeof(struct vh_range));
    }
    add_range(guest->local[0], GUEST4, GUEST4);
    add_range(guest->local[1], address6(0xfd00, 1), address6(0xfd00, 1));
    add_range(guest->unseen[0], 0xac110000u, 0xac11ffffu); /* 172.17.0.0/16 */
}

static void guest_clear(struct vh_fw_guest *guest)
{
    for (int i = 0; i < 2; i++) {
        g_array_unref(guest->local[i]);
        g_array_unref(guest->unseen[i]);
    }
}

/* "FIELD=VALUE ..." over a new TCP packet. */
static void packet_init(packet values, bool v6, const char *changes)
{
    g_auto(GStrv) words = g_strsplit(changes, " ", -1);

    memset(values, 0, sizeof(packet));
    values[VH_FW_PROTO] = 6;
    values[VH_FW_NEXT] = 6;
    values[VH_FW_TTL] = 64;
    values[VH_FW_FLAGS] = 2;
    values[VH_FW_TH0] = 40000;
    values[VH_FW_TH2] = 80;
    values[VH_FW_SADDR] = v6 ? address6(0x2001, 9) : SOURCE4;
    values[VH_FW_DADDR] = v6 ? address6(0xfd00, 1) : GUEST4;
    for (char **word = words; *word && **word; word++) {
        g_auto(GStrv) pair = g_strsplit(*word, "=", 2);
        guint field = 0;

        while (field < VH_FW_FIELDS && strcmp(vh_fw_field_text(field), pair[0]) != 0)
            field++;
        g_assert_cmpuint(field, <, VH_FW_FIELDS);
        values[field] = g_ascii_strtoull(pair[1], NULL, 0);
        if (v6 && (field == VH_FW_SADDR || field == VH_FW_DADDR))
            values[field] = address6((guint16)(values[field] >> 16), (guint16)values[field]);
    }
}

/* Rules of the input chain, unless they are whole tables; packets that are dropped and such that
 * are not, each list's packets apart by a |; a 6 before one makes it IPv6. */
struct row {
    const char *name;
    const char *rules;
    const char *dropped;
    const char *passed;
    guint noted;
};

#define INPUT(rules) "table inet t { chain in { type filter hook input priority 0; " rules "; } } "
#define RAW(rules) \
    "table inet t { chain pre { type filter hook prerouting priority -300; " rules "; } } "
#define EARLY(rules) \
    "table inet t { chain pre { type filter hook prerouting priority -500; " rules "; } } "

static const struct row rows[] = {
    /* matches */
    {"dport", INPUT("tcp dport 80 drop"), "dport=80", "dport=81|protocol=17|6 dport=81", 0},
    {"dport of both", INPUT("tcp dport 80 drop"), "dport=80|6 dport=80", "dport=81", 0},
    {"any port", INPUT("meta l4proto { tcp, udp } th dport 53 drop"),
     "dport=53|protocol=17 dport=53", "protocol=132 dport=53", 0},
    {"not dport", INPUT("tcp dport != 80 drop"), "dport=81|dport=0", "dport=80|protocol=17", 0},
    {"range", INPUT("tcp dport 10-20 drop"), "dport=10|dport=20", "dport=9|dport=21", 0},
    {"not range", INPUT("tcp dport != 10-20 drop"), "dport=9|dport=21", "dport=10|dport=20", 0},
    {"less", INPUT("udp sport < 1024 drop"), "protocol=17 sport=1023",
     "protocol=17 sport=1024|sport=5", 0},
    {"at least", INPUT("udp sport >= 1024 drop"), "protocol=17 sport=1024",
     "protocol=17 sport=1023", 0},
    {"both ports", INPUT("tcp sport 1 tcp dport 2 drop"), "sport=1 dport=2",
     "sport=1|dport=2|sport=2 dport=1", 0},
    {"set of ports", INPUT("tcp dport { 22, 80, 1000-2000 } drop"), "dport=22|dport=1500",
     "dport=23|dport=999", 0},
    {"not in a set", INPUT("tcp dport != { 22, 80 } drop"), "dport=23", "dport=22|dport=80", 0},
    {"address", INPUT("ip saddr 192.0.2.1 drop"), "saddr=0xc0000201", "saddr=0xc0000202|6 dport=80",
     0},
    {"not address", INPUT("ip saddr != 192.0.2.1 drop"), "saddr=0xc0000202",
     "saddr=0xc0000201|6 dport=80", 0},
    {"prefix of bytes", INPUT("ip saddr 192.0.0.0/16 drop"), "saddr=0xc000ffff", "saddr=0xc0010000",
     0},
    {"prefix of bits", INPUT("ip saddr 192.0.2.128/25 drop"), "saddr=0xc0000280",
     "saddr=0xc000027f", 0},
    {"not prefix", INPUT("ip saddr != 192.0.2.128/25 drop"), "saddr=0xc000027f", "saddr=0xc0000280",
     0},
    {"addresses", INPUT("ip saddr 192.0.2.5-192.0.2.9 drop"), "saddr=0xc0000205|saddr=0xc0000209",
     "saddr=0xc0000204|saddr=0xc000020a", 0},
    {"set of prefixes", INPUT("ip saddr { 192.0.2.0/30, 198.51.100.0/24, 255.0.0.0/8 } drop"),
     "saddr=0xc0000203|saddr=0xffffffff|saddr=0xc6336401", "saddr=0xc0000204|saddr=0xfeffffff", 0},
    {"prefix of IPv6", INPUT("ip6 saddr 2000::/3 drop"), "6 saddr=0x20010001|6 saddr=0x3fff0001",
     "6 saddr=0x40000001|saddr=0x20010001", 0},
    {"concatenation", INPUT("ip saddr . tcp dport { 192.0.2.1 . 80, 192.0.2.2 . 81 } drop"),
     "saddr=0xc0000201 dport=80|saddr=0xc0000202 dport=81", "saddr=0xc0000201 dport=81", 0},
    {"not in a concatenation",
     INPUT("ip saddr . tcp dport != { 192.0.2.1 . 80, 192.0.2.2 . 81 } drop"),
     "saddr=0xc0000201 dport=81", "saddr=0xc0000201 dport=80|saddr=0xc0000202 dport=81", 0},
    {"concatenated ranges",
     INPUT("ip saddr . tcp dport { 192.0.2.0/24 . 80-90, 10.0.0.0/8 . 1 } drop"),
     "saddr=0xc00002ff dport=90|saddr=0x0affffff dport=1", "saddr=0xc00002ff dport=1|dport=91", 0},
    {"protocol", INPUT("ip protocol udp drop"), "protocol=17", "protocol=6|6 protocol=17", 0},
    {"next header", INPUT("ip6 nexthdr udp drop"), "6 nexthdr=17", "6 nexthdr=6", 0},
    {"type of ICMP", INPUT("icmp type echo-request drop"),
     "protocol=1 sport=0x0800|protocol=1 sport=0x0807",
     "protocol=1 sport=0x0000|protocol=6 sport=0x0800", 0},
    {"code of ICMP", INPUT("icmp type 8 icmp code 7 drop"), "protocol=1 sport=0x0807",
     "protocol=1 sport=0x0800", 0},
    {"type of ICMPv6", INPUT("icmpv6 type echo-request drop"), "6 protocol=58 sport=0x8000",
     "6 protocol=58 sport=0x8100|protocol=58 sport=0x8000", 0},
    {"TCP flags", INPUT("tcp flags & (syn | ack) == syn drop"), "tcp-flags=2|tcp-flags=3",
     "tcp-flags=0x12|tcp-flags=1|protocol=17", 0},
    {"TCP flags of a mask", INPUT("tcp flags ! syn drop"), "tcp-flags=1", "tcp-flags=3", 0},
    {"TTL", INPUT("ip ttl < 5 drop"), "ttl=4", "ttl=5|6 ttl=4", 0},
    {"hop limit", INPUT("ip6 hoplimit 255 drop"), "6 ttl=255", "6 ttl=254", 0},
    {"DSCP", INPUT("ip dscp cs1 drop"), "tos=0x20|tos=0x23", "tos=0x24", 0},
    {"interface", INPUT("iifname \"eth0\" drop"), "interface=0", "interface=1|interface=255", 0},
    {"not interface", INPUT("iifname != \"eth0\" drop"), "interface=1", "interface=0|interface=255",
     0},
    {"interfaces", INPUT("iifname \"eth0*\" tcp dport 80 drop"), "interface=0|interface=1",
     "dport=81", 0},
    {"interface and port", INPUT("iifname . tcp dport { \"eth0.10\" . 80 } drop"), "interface=1",
     "interface=0", 0},
    {"type of packet", INPUT("meta pkttype broadcast drop"), "type=1", "type=0|type=2", 0},
    {"version", INPUT("meta nfproto ipv6 drop"), "6 dport=1", "dport=1", 0},
    {"extension header", INPUT("exthdr hbh exists drop"), "6 exthdrs=1|6 exthdrs=3",
     "6 exthdrs=2|exthdrs=1", 0},
    /* what cannot be told */
    {"mark", INPUT("meta mark 1 drop"), "", "dport=80", 1},
    {"mark that accepts", INPUT("meta mark 1 accept; drop"), "", "dport=80", 0},
    {"length", INPUT("ip length 100 tcp dport 80 drop; tcp dport 81 drop"), "dport=81", "dport=80",
     1},
    {"part of an address", INPUT("ip saddr & 0.0.0.255 == 1 drop"), "", "saddr=0xc0000201", 1},
    {"routing", INPUT("fib saddr oif missing drop"), "", "dport=80", 1},
    {"payload", INPUT("@th,32,32 1 drop"), "", "dport=80", 1},
    /* verdicts */
    {"accept", INPUT("tcp dport 80 accept; drop"), "dport=81", "dport=80", 0},
    {"policy", INPUT("policy drop; tcp dport 80 accept"), "dport=81|6 dport=81",
     "dport=80|daddr=0x0a000002 dport=81", 0},
    {"return to the policy", INPUT("policy drop; tcp dport 80 accept; return; accept"), "dport=81",
     "dport=80", 0},
    {"jump",
     "table inet t { chain c { tcp dport 80 return; tcp dport 81 accept; tcp dport 82 drop; }; "
     "chain in { type filter hook input priority 0; jump c; tcp dport { 80, 81, 83 } drop; } }",
     "dport=80|dport=82|dport=83", "dport=81|dport=84", 0},
    {"goto",
     "table inet t { chain c { tcp dport 80 return; tcp dport 82 drop; }; "
     "chain in { type filter hook input priority 0; tcp dport < 100 goto c; drop; } }",
     "dport=82|dport=100", "dport=80|dport=83", 0},
    {"goto behind a jump",
     "table inet t { chain d { tcp dport 82 drop; }; "
     "chain c { tcp dport 81 drop; goto d; }; "
     "chain in { type filter hook input priority 0; jump c; tcp dport 83 drop; } }",
     "dport=81|dport=82|dport=83", "dport=84", 0},
    {"jump that may be",
     "table inet t { chain c { tcp dport 80 accept; tcp dport 82 drop; }; "
     "chain in { type filter hook input priority 0; meta mark 1 jump c; drop; } }",
     "dport=82|dport=83", "dport=80", 1},
    {"return that may be",
     "table inet t { chain c { meta mark 1 return; drop; }; "
     "chain in { type filter hook input priority 0; jump c; accept; } }",
     "", "dport=80", 0},
    {"return within a jump that may be",
     "table inet t { chain c { tcp dport 80 return; accept; }; "
     "chain in { type filter hook input priority 0; meta mark 1 jump c; drop; } }",
     "dport=80", "dport=81", 0},
    {"goto that may be",
     "table inet t { chain c { tcp dport 80 return; drop; }; "
     "chain in { type filter hook input priority 0; policy drop; meta mark 1 goto c; "
     "accept; } }",
     "", "dport=80|dport=81", 1},
    {"verdict map",
     INPUT("tcp dport vmap { 80 : drop, 81 : accept, 90-99 : drop }; "
           "tcp dport { 81, 82 } drop"),
     "dport=80|dport=82|dport=95", "dport=81|dport=83", 0},
    {"verdict map that catches all", INPUT("tcp dport vmap { 80 : accept, 81 : return, * : drop }"),
     "dport=82", "dport=80|dport=81|protocol=17", 0},
    {"verdict map that jumps",
     "table inet t { chain c { tcp sport 1 drop; }; chain in { type filter hook input priority 0; "
     "tcp dport vmap { 80 : jump c, * : drop }; } }",
     "sport=1|dport=81", "dport=80", 0},
    {"verdict map of two",
     INPUT("ip saddr . tcp dport vmap { 192.0.2.1 . 80 : drop, 192.0.2.1 . 81 : accept }; "
           "tcp dport 81 drop"),
     "dport=80|dport=81 saddr=0xc0000202", "dport=81", 0},
    {"accept of one chain",
     INPUT("tcp dport 80 accept") "table inet u { chain in { type filter hook input priority 5; "
                                  "tcp dport { 80, 81 } drop; } }",
     "dport=80|dport=81", "dport=82", 0},
    /* effects */
    {"counter", INPUT("tcp dport 80 counter drop"), "dport=80", "dport=81", 0},
    {"comment", INPUT("tcp dport 80 drop comment \"no web\""), "dport=80", "dport=81", 0},
    {"log", INPUT("tcp dport 80 log drop; drop"), "dport=81", "dport=80", 1},
    {"log of a part", INPUT("tcp dport 80 log ip saddr 1.2.3.4 drop; drop"), "dport=81", "dport=80",
     1},
    {"named counter",
     "table inet t { counter n { } chain in { type filter hook input priority 0; "
     "tcp dport 80 counter name n; drop; } }",
     "dport=81", "dport=80", 1},
    {"limit", INPUT("tcp dport 80 limit rate 10/second accept; drop"), "dport=81", "dport=80", 1},
    {"quota", INPUT("tcp dport 80 quota over 10 mbytes drop; drop"), "dport=81", "dport=80", 1},
    {"reject", INPUT("tcp dport 80 reject; drop"), "dport=81", "dport=80", 1},
    {"trace", INPUT("tcp dport 80 meta nftrace set 1; drop"), "dport=81", "dport=80", 1},
    {"mark that is set", INPUT("meta mark set 1; tcp dport 80 drop"), "dport=80", "dport=81", 0},
    {"type that is set", RAW("meta pkttype set host; meta pkttype broadcast drop"), "",
     "type=1|type=0", 1},
    {"dynamic set",
     "table inet t { set s { type ipv4_addr; flags dynamic; size 100; timeout 1m; } "
     "chain in { type filter hook input priority 0; ip saddr @s drop; "
     "tcp dport 80 add @s { ip saddr }; tcp dport { 80, 81 } drop; } }",
     "dport=81", "dport=80", 2},
    {"set that forgets",
     "table inet t { set s { type ipv4_addr; flags timeout; "
     "elements = { 192.0.2.1 timeout 1h, 192.0.2.2 } } "
     "chain in { type filter hook input priority 0; ip saddr @s drop; } }",
     "saddr=0xc0000202", "saddr=0xc0000201", 1},
    {"not in a set that forgets",
     "table inet t { set s { type ipv4_addr; flags timeout; "
     "elements = { 192.0.2.1 timeout 1h, 192.0.2.2 } } "
     "chain in { type filter hook input priority 0; ip saddr != @s drop; } }",
     "saddr=0xc0000203", "saddr=0xc0000201|saddr=0xc0000202", 1},
    /* flows */
    {"established", INPUT("policy drop; ct state established,related accept; tcp dport 80 accept"),
     "dport=81", "dport=80|dport=81 flow=1|protocol=1 sport=0x0300", 0},
    {"states by verdict",
     INPUT("ct state vmap { established : accept, related : accept, invalid : drop }; "
           "tcp dport 80 drop"),
     "dport=80", "dport=81|flow=1", 1},
    {"new", INPUT("ct state new tcp dport 80 accept; drop"), "dport=81", "dport=80|dport=81 flow=1",
     0},
    {"invalid", INPUT("ct state invalid drop"), "", "dport=80", 1},
    {"all but known", INPUT("ct state { new, invalid, untracked } drop"), "dport=80", "flow=1", 0},
    {"before conntrack", RAW("tcp dport 80 drop"), "dport=80|dport=80 flow=1", "dport=81", 0},
    {"own and unseen sources", INPUT("drop"), "saddr=0xac100001",
     "saddr=0x0a000001|saddr=0xac110001", 0},
    {"another's destination", INPUT("drop"), "dport=1", "daddr=0x0a000002|6 daddr=0xfd000002", 0},
    {"another's destination, early", RAW("drop"), "daddr=0x0a000002", "", 0},
    {"helper",
     "table inet t { ct helper h { type \"ftp\" protocol tcp; } "
     "chain in { type filter hook input priority 0; policy drop; ct state related accept; } }",
     "", "dport=80", 0},
    {"NAT",
     "table inet t { chain n { type nat hook prerouting priority -100; "
     "tcp dport 80 redirect to :8080; tcp dport 82 accept; tcp dport 83 drop; } "
     "chain in { type filter hook input priority 0; policy drop; } }",
     "dport=81|dport=82|dport=83", "dport=80", 2},
    {"late", "table inet t { chain in { type filter hook input priority 200; drop; } }", "",
     "dport=80", 0},
    /* fragments, interfaces */
    {"fragments", RAW("drop"), "frag-off=0x4000|6 dport=1",
     "frag-off=0x2000|frag-off=0x0001|6 exthdrs=16", 0},
    {"fragments before they are whole", EARLY("ip frag-off & 0x1fff != 0 drop"),
     "frag-off=0x0001|frag-off=0x2001", "frag-off=0x2000|frag-off=0", 0},
    {"ports of fragments", EARLY("tcp dport 80 drop"), "frag-off=0x2000", "frag-off=0x2001", 0},
    {"dormant",
     "table inet t { flags dormant; chain in { type filter hook input priority 0; drop; "
     "} }",
     "", "dport=80", 0},
    {"same priority",
     INPUT("tcp dport 80 log; tcp dport 81 drop") "table inet u { chain in { type filter hook "
                                                  "input priority 0; tcp dport { 80, 82 } drop; } "
                                                  "}",
     "dport=81|dport=82", "dport=80", 1},
    {"effects at the same priority",
     INPUT("tcp dport 80 log; tcp dport 81 drop") "table inet u { chain in { type filter hook "
                                                  "input priority 0; tcp dport 81 log; drop; } }",
     "", "dport=80|dport=81|dport=82", 0},
};

static void check(const struct row *row, const VhFwRows *made, const char *packets,
                  enum vh_fw_action want)
{
    g_auto(GStrv) list = g_strsplit(packets, "|", -1);

    for (char **text = list; *text && **text; text++) {
        bool v6 = g_str_has_prefix(*text, "6 ");
        packet values;
        guint at = 0;
        enum vh_fw_action got = 0;

        packet_init(values, v6, v6 ? *text + 2 : *text);
        got = vh_fw_rows_ask(made->rows[v6], values, &at);
        if (got != want)
            g_error("%s: %s: %s, row %u of %u", row->name, *text,
                    got == VH_FW_DROP ? "dropped" : "passed", at, made->rows[v6]->len);
    }
}

static void test_table(void)
{
    struct vh_fw_guest guest;

    guest_init(&guest);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) dump = NULL;
        g_autoptr(VhNftRules) rules = NULL;
        g_autoptr(VhFwRows) made = NULL;

        g_test_message("%s", rows[i].name);
        netspace_set(rows[i].rules);
        dump = netspace_dump();
        rules = vh_nft_read(dump, &error);
        g_assert_no_error(error);
        made = vh_fw_translate(rules, &guest);
        check(&rows[i], made, rows[i].dropped, VH_FW_DROP);
        check(&rows[i], made, rows[i].passed, VH_FW_PASS);
        if (made->noted != rows[i].noted)
            g_error("%s: %u notes, not %u", rows[i].name, made->noted, rows[i].noted);
    }
    guest_clear(&guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!netspace_enter()) {
        g_print("1..0 # SKIP a network namespace with nf_tables is needed, and nft\n");
        return 77;
    }
    g_test_add_func("/net/firewall/table", test_table);
    return g_test_run();
}
