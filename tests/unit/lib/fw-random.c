// SPDX-License-Identifier: GPL-2.0-or-later
// Makes up rules and packets.
#include "lib/fw-random.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#define CHAINS 4

static guint below(GRand *rand, guint end)
{
    return (guint)g_rand_int_range(rand, 0, (gint32)end);
}

static bool once_in(GRand *rand, guint times)
{
    return below(rand, times) == 0;
}

#define PICK(rand, list) ((list)[below(rand, G_N_ELEMENTS(list))])

/* ---- rules ---- */

enum layer { ANY, FOUR, SIX };

static const char *const saddr4[] = {"192.0.2.1",
                                     "192.0.2.0/30",
                                     "!= 192.0.2.2",
                                     "{ 192.0.2.1, 192.0.2.4-192.0.2.6, 198.51.100.0/24 }",
                                     "!= { 192.0.2.1, 192.0.2.3, 198.51.100.1 }",
                                     "192.0.2.3-192.0.2.5",
                                     "@a4",
                                     "!= @a4",
                                     "@t4",
                                     "@p4",
                                     "!= 192.0.2.0/29",
                                     "192.0.0.0/8",
                                     "& 0.0.0.1 == 1"};
static const char *const daddr4[] = {"10.0.0.1", "!= 10.0.0.1", "10.0.0.0/24",
                                     "{ 10.0.0.1, 224.0.0.1 }"};
static const char *const saddr6[] = {"2001:db8::1",
                                     "2001:db8::/126",
                                     "!= 2001:db8::2",
                                     "{ 2001:db8::1, 2001:db8::4-2001:db8::6 }",
                                     "@a6",
                                     "!= @a6",
                                     "2001:db8::3-2001:db8::5"};
static const char *const daddr6[] = {"fd00::1", "fd00::/16", "!= fd00::1"};
static const char *const ports[] = {
    "22",    "80",      "!= 80",  "{ 22, 53, 80 }", "{ 22-80, 443 }", "!= { 22, 443 }", "1000-1005",
    "< 100", ">= 1000", "@ports", "!= @ports",      "!= 1000-1005",   "& 0xff == 22",   "0-65535"};
static const char *const both[] = {"meta l4proto tcp",
                                   "meta l4proto { tcp, udp }",
                                   "meta l4proto != udp",
                                   "iifname \"eth0\"",
                                   "iifname != \"eth0\"",
                                   "iifname \"eth*\"",
                                   "iifname \"eth0.10\"",
                                   "meta pkttype host",
                                   "meta pkttype { broadcast, multicast }",
                                   "meta mark 0",
                                   "meta mark 1",
                                   "meta length > 60",
                                   "tcp flags & (fin | syn | rst | ack) == syn",
                                   "tcp flags syn",
                                   "tcp flags ! syn",
                                   "ct state established,related",
                                   "ct state new",
                                   "ct state invalid",
                                   "ct state { new, untracked, invalid }",
                                   "ct state != established",
                                   "fib saddr type local",
                                   "fib daddr type local",
                                   "meta l4proto sctp",
                                   "iifname . tcp dport { \"eth0\" . 80 }",
                                   "tcp sport . tcp dport { 1000 . 80, 53 . 22 }",
                                   "@th,0,32 0x03e80050",
                                   "@th,32,16 0",
                                   "tcp dport 22 tcp sport 1000"};
static const char *const four[] = {
    "ip protocol tcp",
    "ip protocol != tcp",
    "icmp type echo-request",
    "icmp type { 0, 3, 8 }",
    "icmp type echo-request icmp code 0",
    "ip ttl < 10",
    "ip dscp cs1",
    "ip dscp != 0",
    "ip frag-off & 0x1fff != 0",
    "ip frag-off & 0x2000 != 0",
    "ip frag-off & 0x4000 != 0",
    "ip saddr . tcp dport { 192.0.2.1 . 80, 192.0.2.2 . 22 }",
    "ip saddr . tcp dport != { 192.0.2.1 . 80, 192.0.2.2 . 22 }",
    "ip saddr . udp dport { 192.0.2.0/30 . 0-100, 198.51.100.0/24 . 53 }",
    "ip version 4",
    "ip saddr . ip daddr . tcp dport { 192.0.2.1 . 10.0.0.1 . 80 }",
    "ip length 40",
    "ip saddr != 10.0.0.1"};
static const char *const six[] = {"ip6 nexthdr tcp",
                                  "ip6 nexthdr != udp",
                                  "icmpv6 type echo-request",
                                  "exthdr hbh exists",
                                  "exthdr dst missing",
                                  "ip6 hoplimit < 10",
                                  "ip6 saddr . tcp dport { 2001:db8::1 . 80 }",
                                  "icmpv6 type { 1, 128, 129, 135 }",
                                  "exthdr frag exists",
                                  "ip6 flowlabel 5"};
static const char *const statements[] = {"counter", "meta mark set 1", "limit rate 5/second",
                                         "counter", "meta mark set 0"};

static void add_address(GRand *rand, enum layer layer, GString *text)
{
    bool source = !once_in(rand, 4);

    if (layer == FOUR)
        g_string_append_printf(text, "ip %s %s ", source ? "saddr" : "daddr",
                               source ? PICK(rand, saddr4) : PICK(rand, daddr4));
    else
        g_string_append_printf(text, "ip6 %s %s ", source ? "saddr" : "daddr",
                               source ? PICK(rand, saddr6) : PICK(rand, daddr6));
}

static void add_match(GRand *rand, enum layer layer, GString *text)
{
    static const char *const protocols[] = {"tcp", "udp", "tcp", "th", "sctp"};
    guint kind = below(rand, 8);

    if (layer != ANY && kind < 3)
        add_address(rand, layer, text);
    else if (kind < 5)
        g_string_append_printf(text, "%s %s %s ", PICK(rand, protocols),
                               once_in(rand, 3) ? "sport" : "dport", PICK(rand, ports));
    else if (kind < 6 && layer == FOUR)
        g_string_append_printf(text, "%s ", PICK(rand, four));
    else if (kind < 6 && layer == SIX)
        g_string_append_printf(text, "%s ", PICK(rand, six));
    else
        g_string_append_printf(text, "%s ", PICK(rand, both));
}

/* A chain jumps only to those before it. */
static void verdict_of(GRand *rand, guint chains, GString *text)
{
    guint kind = below(rand, 20);

    if (kind < 9)
        g_string_append(text, "drop");
    else if (kind < 13)
        g_string_append(text, "accept");
    else if (kind < 14)
        g_string_append(text, "return");
    else if (kind < 18 && chains)
        g_string_append_printf(text, "%s c%u", kind == 17 ? "goto" : "jump", below(rand, chains));
    else
        g_string_append(text, "continue");
}

static void add_map(GRand *rand, enum layer layer, guint chains, GString *text)
{
    static const char *const keys[][3] = {
        {"tcp dport", "22", "80-90"},
        {"meta l4proto", "tcp", "udp"},
        {"ct state", "established", "invalid"},
        {"ip saddr", "192.0.2.1", "192.0.2.4-192.0.2.6"},
        {"ip saddr . tcp dport", "192.0.2.1 . 80", "192.0.2.2 . 22"}};
    guint key = below(rand, layer == FOUR ? 5 : 3);

    g_string_append_printf(text, "%s vmap { %s : ", keys[key][0], keys[key][1]);
    verdict_of(rand, chains, text);
    g_string_append_printf(text, ", %s : ", keys[key][2]);
    verdict_of(rand, chains, text);
    if (once_in(rand, 4))
        g_string_append(text, ", * : drop");
    g_string_append(text, " }\n");
}

static void add_rule(GRand *rand, guint chains, GString *text)
{
    enum layer layer = (enum layer)below(rand, 3);
    guint matches = below(rand, 4);

    for (guint i = 0; i < matches; i++)
        add_match(rand, layer, text);
    if (layer != ANY && once_in(rand, 9))
        g_string_append_printf(text, "%s ", layer == FOUR ? WORLD_TOUCH4 : WORLD_TOUCH6);
    if (once_in(rand, 6))
        g_string_append_printf(text, "%s ", PICK(rand, statements));
    if (once_in(rand, 5)) {
        add_map(rand, layer, chains, text);
        return;
    }
    verdict_of(rand, chains, text);
    g_string_append_c(text, '\n');
}

static void add_chain(GRand *rand, const char *head, guint chains, GString *text)
{
    guint rules = 1 + below(rand, 7);

    g_string_append(text, head);
    for (guint i = 0; i < rules; i++)
        add_rule(rand, chains, text);
    g_string_append(text, "}\n");
}

static void add_sets(GString *text)
{
    g_string_append(
        text,
        "set touched4 { typeof ip id; flags dynamic; size 65536; }\n"
        "set touched6 { typeof ip6 flowlabel; flags dynamic; size 65536; }\n"
        "set a4 { type ipv4_addr; flags interval; elements = { 192.0.2.1-192.0.2.2, 192.0.2.7, "
        "198.51.100.0/31 } }\n"
        "set t4 { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 1h, 192.0.2.5 } }\n"
        "set p4 { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.3 } }\n"
        "set a6 { type ipv6_addr; flags interval; elements = { 2001:db8::1-2001:db8::2, "
        "2001:db8::7 } }\n"
        "set ports { type inet_service; flags interval; elements = { 22, 80-90, 1003 } }\n");
}

char *random_rules(GRand *rand)
{
    static const char *const heads[] = {
        "type filter hook prerouting priority -450;", "type filter hook prerouting priority -300;",
        "type filter hook prerouting priority -150;", "type filter hook input priority 0;",
        "type filter hook input priority 10;",        "type nat hook prerouting priority -100;",
        "type filter hook input priority 0;"};
    GString *text = g_string_new("table inet t {\n");
    bool some = false;

    add_sets(text);
    for (guint i = 0; i < CHAINS; i++) {
        g_autofree char *head = g_strdup_printf("chain c%u {\n", i);

        add_chain(rand, head, i, text);
    }
    for (guint i = 0; i < G_N_ELEMENTS(heads); i++) {
        bool drops = once_in(rand, 4) && i != 5;
        g_autofree char *head =
            g_strdup_printf("chain b%u { %s policy %s;\n", i, heads[i], drops ? "drop" : "accept");

        if (!once_in(rand, 3) && (some || i < G_N_ELEMENTS(heads) - 1))
            continue;
        some = true;
        add_chain(rand, head, CHAINS, text);
    }
    g_string_append(text, "}\n");
    if (once_in(rand, 3))
        g_string_append(text, "table netdev n {\nchain i { type filter hook ingress device eth0 "
                              "priority 0;\nip saddr 192.0.2.8 drop\ntcp dport 1007 drop\n"
                              "ip frag-off & 0x1fff != 0 udp dport 53 drop\n}\n}\n");
    return g_string_free(text, FALSE);
}

/* ---- packets ---- */

static guint32 sum_of(const guint8 *bytes, gsize len, guint32 sum)
{
    for (gsize i = 0; i < len; i++)
        sum += i % 2 ? bytes[i] : (guint32)bytes[i] << 8;
    return sum;
}

static void put_sum(guint8 *at, guint32 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    at[0] = (guint8)(~sum >> 8);
    at[1] = (guint8)~sum;
}

static void put16(guint8 *at, guint value)
{
    at[0] = (guint8)(value >> 8);
    at[1] = (guint8)value;
}

static guint8 pick_proto(GRand *rand, bool v6)
{
    static const guint8 protocols[] = {6, 6, 6, 6, 17, 17, 17, 1, 1, 132, 47, 50};
    guint8 proto = PICK(rand, protocols);

    return proto == 1 && v6 ? 58 : proto;
}

/* What is behind the IP header. Its length. */
static gsize put_transport(GRand *rand, guint8 proto, bool swapped, guint8 *at)
{
    static const guint near[] = {22, 53, 80, 81, 85, 443, 1000, 1003, 1007};
    static const guint far[] = {1000, 1003, 53, 80, 40000};
    static const guint8 flags[] = {2, 2, 0x12, 0x10, 0x11, 4, 0x18, 0, 0x29};
    static const guint8 types[] = {8, 0, 3, 5, 11, 128, 129, 135, 1};
    gsize len = 8 + below(rand, 20);
    guint here = PICK(rand, near);
    guint there = PICK(rand, far);

    memset(at, 0, 64);
    if (proto == 1 || proto == 58) {
        at[0] = PICK(rand, types);
        return len;
    }
    put16(at, swapped ? here : there);
    put16(at + 2, swapped ? there : here);
    if (proto == IPPROTO_TCP) {
        put16(at + 6, below(rand, 100));
        at[12] = 0x50;
        at[13] = PICK(rand, flags);
        put16(at + 14, 1000);
        return 20;
    }
    if (proto == IPPROTO_UDP)
        put16(at + 4, (guint)len);
    if (proto == IPPROTO_SCTP)
        len = MAX(len, 16);
    return len;
}

/* The checksums of what has a pseudo header, and of ICMP. */
static void finish_transport(guint8 proto, const guint8 *addresses, gsize size, guint8 *at,
                             gsize len)
{
    guint32 sum = sum_of(addresses, 2 * size, (guint32)len + proto);
    gsize place = 2;

    if (proto == IPPROTO_TCP)
        place = 16;
    else if (proto == IPPROTO_UDP)
        place = 6;
    if (proto == 1)
        sum = 0;
    else if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != 58)
        return;
    put_sum(at + place, sum_of(at, len, sum));
}

static gsize put4(GRand *rand, guint16 id, bool from_guest, guint8 *ip)
{
    static const guint32 others[] = {0xc0000201, 0xc0000202, 0xc0000203, 0xc0000204, 0xc0000205,
                                     0xc0000206, 0xc0000207, 0xc0000208, 0xc6336400, 0xc6336401};
    static const guint frags[] = {0x2000, 0x2001, 0x0001, 0x4000};
    guint32 other = htonl(PICK(rand, others));
    guint32 guest = htonl(from_guest || !once_in(rand, 12) ? 0x0a000001u : 0x0a000002u);
    guint8 proto = pick_proto(rand, false);
    gsize len = put_transport(rand, proto, from_guest, ip + 20);

    memset(ip, 0, 20);
    ip[0] = 0x45;
    ip[1] = once_in(rand, 4) ? 0x20 : 0;
    put16(ip + 2, (guint)(20 + len));
    put16(ip + 4, id);
    if (!from_guest && once_in(rand, 10))
        put16(ip + 6, PICK(rand, frags));
    ip[8] = once_in(rand, 5) ? 5 : 64;
    ip[9] = proto;
    memcpy(ip + 12, from_guest ? &guest : &other, 4);
    memcpy(ip + 16, from_guest ? &other : &guest, 4);
    if (!from_guest && once_in(rand, 40))
        memcpy(ip + 12, &guest, 4);
    finish_transport(proto, ip + 12, 4, ip + 20, len);
    put_sum(ip + 10, sum_of(ip, 20, 0));
    return 20 + len;
}

static gsize put6(GRand *rand, guint16 id, bool from_guest, guint8 *ip)
{
    static const guint8 exts[] = {0, 60, 60, 44};
    guint8 other[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (guint8)(1 + below(rand, 8))};
    guint8 guest[16] = {0xfd, [15] = from_guest || !once_in(rand, 12) ? 1 : 2};
    guint8 proto = pick_proto(rand, true);
    gsize ext = !from_guest && once_in(rand, 6) ? 8 : 0;
    gsize len = put_transport(rand, proto, from_guest, ip + 40 + ext);

    memset(ip, 0, 40 + ext);
    ip[0] = 0x60;
    put16(ip + 2, id);
    put16(ip + 4, (guint)(ext + len));
    ip[6] = ext ? PICK(rand, exts) : proto;
    ip[7] = once_in(rand, 5) ? 5 : 64;
    memcpy(ip + 8, from_guest ? guest : other, 16);
    memcpy(ip + 24, from_guest ? other : guest, 16);
    if (ext) {
        ip[40] = proto;
        memcpy(ip + 42, (guint8[]){1, 4}, 2); /* an option that pads */
    }
    if (ext && ip[6] == 44)
        put16(ip + 42, below(rand, 3));
    finish_transport(proto, ip + 8, 16, ip + 40 + ext, len);
    return 40 + ext + len;
}

void random_packet(GRand *rand, guint16 id, struct world_packet *packet)
{
    static const guint8 macs[][6] = {{0x52, 0x54, 0, 1, 2, 3}, {0x52, 0x54, 0, 1, 2, 3},
                                     {0x52, 0x54, 0, 1, 2, 3}, {0x52, 0x54, 0, 1, 2, 3},
                                     {0x52, 0x54, 0, 1, 2, 3}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                     {1, 0, 0x5e, 0, 0, 1},    {0x52, 0x54, 0, 9, 9, 9}};
    static const guint8 harmed4[] = {0, 1, 2, 3, 6, 9};
    static const guint8 harmed6[] = {0, 4, 5, 6};
    bool tagged = once_in(rand, 12);
    guint8 *at = packet->bytes + ETH_HLEN;

    packet->v6 = once_in(rand, 4);
    packet->id = id;
    memcpy(packet->bytes, PICK(rand, macs), 6);
    memcpy(packet->bytes + 6, (guint8[]){2, 0, 0, 0, 0, 2}, 6);
    if (tagged) {
        put16(at - 2, ETH_P_8021Q);
        put16(at, once_in(rand, 3) ? 11 : 10);
        at += 4;
    }
    put16(at - 2, packet->v6 ? ETH_P_IPV6 : ETH_P_IP);
    packet->len = (gsize)(at - packet->bytes);
    packet->len += packet->v6 ? put6(rand, id, false, at) : put4(rand, id, false, at);
    /* Something is wrong with it; but its id stays. */
    if (once_in(rand, 50))
        at[packet->v6 ? PICK(rand, harmed6) : PICK(rand, harmed4)] ^=
            (guint8)(1u << below(rand, 8));
}

void random_answer(GRand *rand, guint16 id, struct world_packet *packet)
{
    packet->v6 = once_in(rand, 4);
    packet->id = id;
    packet->len =
        packet->v6 ? put6(rand, id, true, packet->bytes) : put4(rand, id, true, packet->bytes);
}
