// SPDX-License-Identifier: GPL-2.0-or-later
// Drops what the guest's firewall would drop, by the tables that vhintd has made of its rules, and
// remembers the flows of what the guest sends.
//
// A packet that is in any way not as it should be passes.
#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>

#include "rows.h"
#include "slot.h"

char vh_license[] SEC("license") = "GPL";

/* Frozen before the load: the verifier takes out what the tables do not need. */
const volatile struct vh_fw_config vh_fw_config;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_fw_block);
} vh_fw_blocks SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_fw_class);
} vh_fw_classes SEC(".maps");

/* A byte's class: 256 for each field. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_smalls SEC(".maps");

/* Two classes of two bytes each, since elements are of 8 bytes anyway. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32[2]);
} vh_fw_words SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_fw_edge);
} vh_fw_edges SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_actions SEC(".maps");

/* Which of the guest's interfaces a VLAN's packets come in at, by its number. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_links SEC(".maps");

/* Packets that a row dropped, or would have dropped. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} vh_fw_drops SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_mode SEC(".maps");

/* VH_FW_SIGHT_*: whether vh_fw_flows has all flows. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
} vh_fw_sight SEC(".maps");

/* The value: when the guest last sent one, in units of 2^30 ns. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, VH_FW_FLOWS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct vh_fw_flow);
    __type(value, __u32);
} vh_fw_flows SEC(".maps");

/* ---- a packet ---- */

struct packet {
    __u8 small[VH_FW_SMALL + 3];
    __u16 word[VH_FW_WORD + 1];
    __u32 address[VH_FW_ADDRESS][4]; /* of IPv4 the first; network order */
    __u32 v6;
};

enum { FLOW, LINK, PKTTYPE, PROTO, NEXT, TTL, TOS, FLAGS, EXT };
enum { FRAG, TH0, TH2 };
enum { EXT_HOP = 1, EXT_DEST = 2, EXT_ROUTE = 4, EXT_AUTH = 8, EXT_FRAG = 16 };

#define EXT_HEADERS 6
#define MAX_OFFSET 0x3ff

/* A pointer to `size` bytes at `offset`, or NULL. */
VH_INLINE const void *at(const void *data, const void *end, __u32 offset, __u32 size)
{
    const void *pointer = data + (offset & MAX_OFFSET);

    return offset <= MAX_OFFSET && pointer + size <= end ? pointer : NULL;
}

/* `left` bytes follow here by IP's count. */
VH_INLINE bool read_transport(const void *data, const void *end, __u32 offset, __u32 left,
                              struct packet *packet)
{
    const __u16 *ports = at(data, end, offset, 4);
    const __u8 *tcp = NULL;

    if (!ports || left < 4)
        return false;
    packet->word[TH0] = bpf_ntohs(ports[0]);
    packet->word[TH2] = bpf_ntohs(ports[1]);
    if (packet->small[PROTO] != IPPROTO_TCP)
        return true;
    tcp = at(data, end, offset, 14);
    if (!tcp || left < 14)
        return false;
    packet->small[FLAGS] = tcp[13];
    return true;
}

VH_INLINE bool read4(const void *data, const void *end, __u32 offset, __u32 len,
                     struct packet *packet)
{
    const __u8 *ip = at(data, end, offset, 20);
    __u32 head = 0;
    __u32 total = 0;

    if (!ip)
        return false;
    head = (ip[0] & 0xf) * 4;
    total = bpf_ntohs(*(const __u16 *)(ip + 2));
    if (ip[0] >> 4 != 4 || head < 20 || total < head || offset + total > len)
        return false;
    packet->small[TOS] = ip[1];
    packet->word[FRAG] = bpf_ntohs(*(const __u16 *)(ip + 6));
    packet->small[TTL] = ip[8];
    packet->small[PROTO] = ip[9];
    packet->address[0][0] = *(const __u32 *)(ip + 12);
    packet->address[1][0] = *(const __u32 *)(ip + 16);
    if (packet->word[FRAG] & 0x1fff)
        return true;
    return read_transport(data, end, offset + head, total - head, packet);
}

VH_INLINE __u8 ext_bit(__u8 proto)
{
    switch (proto) {
    case IPPROTO_HOPOPTS:
        return EXT_HOP;
    case IPPROTO_DSTOPTS:
        return EXT_DEST;
    case IPPROTO_ROUTING:
        return EXT_ROUTE;
    case IPPROTO_AH:
        return EXT_AUTH;
    case IPPROTO_FRAGMENT:
        return EXT_FRAG;
    default:
        return 0;
    }
}

VH_INLINE __u32 ext_size(__u8 bit, const __u8 *ext)
{
    if (bit == EXT_FRAG)
        return 8;
    return bit == EXT_AUTH ? (ext[1] + 2) * 4 : (ext[1] + 1) * 8;
}

VH_INLINE bool read6(const void *data, const void *end, __u32 offset, __u32 len,
                     struct packet *packet)
{
    const __u8 *ip = at(data, end, offset, 40);
    __u32 left = 0;
    __u8 proto = 0;

    if (!ip)
        return false;
    left = bpf_ntohs(*(const __u16 *)(ip + 4));
    if (ip[0] >> 4 != 6 || !left || offset + 40 + left > len)
        return false;
    proto = ip[6];
    packet->small[NEXT] = proto;
    packet->small[TTL] = ip[7];
    __builtin_memcpy(packet->address[0], ip + 8, 16);
    __builtin_memcpy(packet->address[1], ip + 24, 16);
    offset += 40;
    for (int i = 0; i < EXT_HEADERS; i++) {
        __u8 bit = ext_bit(proto);
        const __u8 *ext = NULL;
        __u32 size = 0;

        if (!bit)
            break;
        ext = at(data, end, offset, 8);
        if (!ext || left < 8)
            return false;
        packet->small[EXT] |= bit;
        /* Only the first fragment has what comes behind. */
        if (bit == EXT_FRAG && bpf_ntohs(*(const __u16 *)(ext + 2)) & 0xfff8)
            return true;
        size = ext_size(bit, ext);
        if (size > left)
            return false;
        proto = ext[0];
        offset += size;
        left -= size;
    }
    packet->small[PROTO] = proto;
    return !ext_bit(proto) && read_transport(data, end, offset, left, packet);
}

VH_INLINE bool read_packet(const void *data, const void *end, __u32 len,
                           const struct vh_scratch *scratch, struct packet *packet)
{
    __u32 offset = scratch->l3_offset;

    packet->v6 = scratch->l3_proto == ETH_P_IPV6;
    if (packet->v6)
        return read6(data, end, offset, len, packet);
    return scratch->l3_proto == ETH_P_IP && read4(data, end, offset, len, packet);
}

/* To whom it is. Another's passes: what the guest does with it is its own affair. */
VH_INLINE bool read_ether(const void *data, const void *end, const struct vh_scratch *scratch,
                          struct packet *packet)
{
    const __u8 *mac = data;
    __u32 vlan = scratch->vlan;
    bool mine = true;
    bool all = true;
    __u32 *link = NULL;

    if (mac + ETH_HLEN > (const __u8 *)end)
        return false;
    for (int i = 0; i < ETH_ALEN; i++) {
        mine = mine && mac[i] == vh_fw_config.mac[i];
        all = all && mac[i] == 0xff;
    }
    if (!mine)
        packet->small[PKTTYPE] = all ? 1 : 2;
    link = bpf_map_lookup_elem(&vh_fw_links, &vlan);
    if (link)
        packet->small[LINK] = *link;
    return link && (mine || mac[0] & 1);
}

/* ---- flows ---- */

VH_INLINE void flow_of(const struct packet *packet, bool from_guest, struct vh_fw_flow *flow)
{
    __u8 proto = packet->small[PROTO];
    bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
                 proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;

    __builtin_memset(flow, 0, sizeof(*flow));
    __builtin_memcpy(flow->guest, packet->address[!from_guest], 16);
    __builtin_memcpy(flow->other, packet->address[from_guest], 16);
    flow->proto = proto;
    flow->v6 = packet->v6;
    if (!ports)
        return;
    flow->guest_port = packet->word[from_guest ? TH0 : TH2];
    flow->other_port = packet->word[from_guest ? TH2 : TH0];
}

VH_INLINE __u32 sight(__u32 what)
{
    __u32 *value = bpf_map_lookup_elem(&vh_fw_sight, &what);

    return value ? *value : 0;
}

VH_INLINE void go_blind(void)
{
    __u32 lost = VH_FW_SIGHT_LOST;
    __u32 yes = 1;

    bpf_map_update_elem(&vh_fw_sight, &lost, &yes, BPF_ANY);
}

VH_INLINE __u8 is_known(const struct packet *packet)
{
    struct vh_fw_flow flow;

    if (!sight(VH_FW_SIGHT_COMPLETE) || sight(VH_FW_SIGHT_LOST))
        return 1;
    flow_of(packet, false, &flow);
    return bpf_map_lookup_elem(&vh_fw_flows, &flow) != NULL;
}

VH_INLINE void remember(const struct packet *packet)
{
    struct vh_fw_flow flow;
    __u32 now = bpf_ktime_get_ns() >> 30;
    __u32 *last = NULL;

    flow_of(packet, true, &flow);
    last = bpf_map_lookup_elem(&vh_fw_flows, &flow);
    if (last && *last == now)
        return;
    if (last)
        *last = now;
    else if (bpf_map_update_elem(&vh_fw_flows, &flow, &now, BPF_ANY))
        go_blind();
}

/* ---- classes ---- */

struct search {
    __u32 class[VH_FW_ALL];
    __u32 v6;
    __u32 from; /* the next row that counts */
    __u32 row;
    __u32 action;
};

/* The last edge that is not behind the address. */
VH_INLINE __u32 class_of_address(const volatile struct vh_fw_table *table, __u64 high, __u64 low)
{
    __u32 found = 0;
    __u32 count = table->count;
    __u32 base = table->base;
    struct vh_fw_edge *edge = NULL;

    for (int bit = VH_FW_SEARCH - 1; bit >= 0; bit--) {
        __u32 next = found + (1u << bit);
        __u32 key = base + next;

        if (next >= count)
            continue;
        edge = bpf_map_lookup_elem(&vh_fw_edges, &key);
        if (edge && (edge->high < high || (edge->high == high && edge->low <= low)))
            found = next;
    }
    found += base;
    edge = bpf_map_lookup_elem(&vh_fw_edges, &found);
    return edge ? edge->class : 0;
}

VH_INLINE __u32 class_of_word(const volatile struct vh_fw_table *table, __u16 value)
{
    __u32 key = table->base + value / 2;
    __u32 *classes = bpf_map_lookup_elem(&vh_fw_words, &key);

    return classes ? classes[value & 1] : 0;
}

VH_INLINE __u32 class_of_small(const volatile struct vh_fw_table *table, __u8 value)
{
    __u32 key = table->base + value;
    __u32 *class = bpf_map_lookup_elem(&vh_fw_smalls, &key);

    return class ? *class : 0;
}

VH_INLINE void classify(const struct packet *packet, struct search *search, bool v6)
{
#pragma unroll
    for (int i = 0; i < VH_FW_SMALL; i++) {
        if (vh_fw_config.table[v6][i].count)
            search->class[i] = class_of_small(&vh_fw_config.table[v6][i], packet->small[i]);
    }
#pragma unroll
    for (int i = 0; i < VH_FW_WORD; i++) {
        const volatile struct vh_fw_table *table = &vh_fw_config.table[v6][VH_FW_SMALL + i];

        if (table->count)
            search->class[VH_FW_SMALL + i] = class_of_word(table, packet->word[i]);
    }
#pragma unroll
    for (int i = 0; i < VH_FW_ADDRESS; i++) {
        const volatile struct vh_fw_table *table =
            &vh_fw_config.table[v6][VH_FW_SMALL + VH_FW_WORD + i];
        const __u32 *address = packet->address[i];
        __u64 high = v6 ? (__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1]) : 0;
        __u64 low =
            v6 ? (__u64)bpf_ntohl(address[2]) << 32 | bpf_ntohl(address[3]) : bpf_ntohl(address[0]);

        if (table->count)
            search->class[VH_FW_SMALL + VH_FW_WORD + i] = class_of_address(table, high, low);
    }
}

/* ---- rows ---- */

/* The lowest bit that is set; there is one. */
VH_INLINE __u32 lowest(__u64 bits)
{
    __u32 at = 0;

    if (!(bits & 0xffffffff)) {
        bits >>= 32;
        at += 32;
    }
    if (!(bits & 0xffff)) {
        bits >>= 16;
        at += 16;
    }
    if (!(bits & 0xff)) {
        bits >>= 8;
        at += 8;
    }
    if (!(bits & 0xf)) {
        bits >>= 4;
        at += 4;
    }
    if (!(bits & 3)) {
        bits >>= 2;
        at += 2;
    }
    return at + !(bits & 1);
}

/* Blocks of all fields that rows look at, from the one on that `from` is in. */
VH_INLINE __u32 blocks_left(const struct search *search, bool v6)
{
    __u32 summary = ~0u << (search->from / (64 * VH_FW_WORDS) & 31);

#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        __u32 key = search->class[i];
        struct vh_fw_class *class = NULL;

        if (!vh_fw_config.table[v6][i].count)
            continue;
        class = bpf_map_lookup_elem(&vh_fw_classes, &key);
        summary &= class ? class->summary : 0;
    }
    return summary;
}

VH_INLINE void rows_of(const struct search *search, bool v6, __u32 block, __u64 *words)
{
    bool begins = search->from / (64 * VH_FW_WORDS) == block;
    __u32 first = begins ? search->from & (64 * VH_FW_WORDS - 1) : 0;

#pragma unroll
    for (__u32 w = 0; w < VH_FW_WORDS; w++) {
        words[w] = first < w * 64 + 64 ? ~0ull : 0;
        if (first > w * 64)
            words[w] &= ~0ull << (first & 63);
    }
#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        __u32 key = search->class[i];
        struct vh_fw_class *class = NULL;
        struct vh_fw_block *bits = NULL;

        if (!vh_fw_config.table[v6][i].count)
            continue;
        class = bpf_map_lookup_elem(&vh_fw_classes, &key);
        key = class ? class->block[block & (VH_FW_BLOCKS - 1)] : 0;
        bits = bpf_map_lookup_elem(&vh_fw_blocks, &key);
#pragma unroll
        for (int w = 0; w < VH_FW_WORDS; w++)
            words[w] &= bits ? bits->words[w] : 0;
    }
}

/* One step: the next block that has a row for the packet, or what the row there says. 1: it is
 * decided.
 */
VH_INLINE long step(struct search *search, bool v6)
{
    __u32 summary = blocks_left(search, v6);
    __u64 words[VH_FW_WORDS];
    __u32 block = 0;
    __u32 key = 0;
    __u32 *action = NULL;

    if (!summary)
        return 1;
    block = lowest(summary);
    rows_of(search, v6, block, words);
    search->from = (block + 1) * 64 * VH_FW_WORDS;
#pragma unroll
    for (int w = VH_FW_WORDS - 1; w >= 0; w--) {
        if (words[w])
            search->from = block * 64 * VH_FW_WORDS + w * 64 + lowest(words[w]);
    }
    if (search->from >= vh_fw_config.rows[v6])
        return 1;
    if (search->from == (block + 1) * 64 * VH_FW_WORDS)
        return 0;
    key = vh_fw_config.first_row[v6] + search->from;
    action = bpf_map_lookup_elem(&vh_fw_actions, &key);
    if (!action)
        return 1;
    search->action = *action & 3;
    search->row = *action >> 2;
    if (search->action != VH_FW_ROW_GOTO)
        return 1;
    search->action = VH_FW_ROW_PASS;
    search->from = search->row;
    return search->from >= vh_fw_config.rows[v6];
}

static long step4(__u32 index, struct search *search)
{
    return step(search, false);
}

static long step6(__u32 index, struct search *search)
{
    return step(search, true);
}

VH_INLINE bool drops(const void *data, const void *end, __u32 len, const struct vh_scratch *scratch)
{
    __u32 zero = 0;
    __u32 *mode = bpf_map_lookup_elem(&vh_fw_mode, &zero);
    struct packet packet = {};
    struct search search = {};
    __u64 *count = NULL;

    if (!mode || *mode == VH_FW_OFF || !read_ether(data, end, scratch, &packet) ||
        !read_packet(data, end, len, scratch, &packet) || !vh_fw_config.rows[packet.v6 & 1])
        return false;
    if (packet.v6) {
        if (vh_fw_config.table[1][FLOW].count)
            packet.small[FLOW] = is_known(&packet);
        classify(&packet, &search, true);
        bpf_loop(VH_FW_STEPS, step6, &search, 0);
    } else {
        if (vh_fw_config.table[0][FLOW].count)
            packet.small[FLOW] = is_known(&packet);
        classify(&packet, &search, false);
        bpf_loop(VH_FW_STEPS, step4, &search, 0);
    }
    if (search.action != VH_FW_ROW_DROP)
        return false;
    count = bpf_map_lookup_elem(&vh_fw_drops, &search.row);
    if (count)
        *count += scratch->segments;
    return *mode == VH_FW_ON;
}

/* ---- the hooks ---- */

SEC("xdp.frags") int uplink(struct xdp_md *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_UPLINK, VH_STAGE_FIREWALL);
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;

    if (!scratch)
        return VH_PASSED(ctx);
    if (drops(data, end, bpf_xdp_get_buff_len(ctx), scratch))
        return vh_drop(ctx, scratch, VH_STAGE_FIREWALL);
    return vh_next(ctx, scratch, VH_STAGE_FIREWALL);
}

SEC("tc") int egress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_EGRESS, VH_STAGE_FIREWALL);
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;

    if (!scratch)
        return VH_PASSED(ctx);
    if (drops(data, end, ctx->len, scratch))
        return vh_drop(ctx, scratch, VH_STAGE_FIREWALL);
    return vh_next(ctx, scratch, VH_STAGE_FIREWALL);
}

/* A packet of the guest's that cannot be read may be of any flow. Those that are not IP are of
 * none, and later fragments are of their first one's. */
SEC("tc") int ingress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_INGRESS, VH_STAGE_FIREWALL);
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct packet packet = {};

    if (!scratch)
        return VH_PASSED(ctx);
    if (scratch->l3_proto == ETH_P_8021Q || scratch->l3_proto == ETH_P_8021AD)
        go_blind();
    else if ((scratch->l3_proto == ETH_P_IP || scratch->l3_proto == ETH_P_IPV6) &&
             !read_packet(data, end, ctx->len, scratch, &packet))
        go_blind();
    else if (packet.v6 ? packet.small[PROTO] != IPPROTO_HOPOPTS
                       : scratch->l3_proto == ETH_P_IP && !(packet.word[FRAG] & 0x1fff))
        remember(&packet);
    return vh_next(ctx, scratch, VH_STAGE_FIREWALL);
}
