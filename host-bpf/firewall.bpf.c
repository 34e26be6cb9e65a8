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

/* What is looked for among the edges. */
struct edges {
    __u64 high;
    __u64 low;
    __u32 base;
    __u32 count;
    __u32 found; /* the last edge so far that is not behind the address */
    __u32 reserved;
};

struct search {
    __u32 class[VH_FW_ALL];
    __u32 from; /* the next row that counts */
    __u32 row;
    __u32 action;
    __u32 reserved;
};

/* The packet at hand: the stack is too small for it, and what the verifier knows of the stack makes
 * it try more ways. */
struct work {
    struct packet packet;
    struct search search;
    struct edges edges;
    struct vh_fw_flow flow;
    struct vh_fw_block rows;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VH_HOOKS);
    __type(key, __u32);
    __type(value, struct work);
} vh_fw_works SEC(".maps");

/* A loop's context has to be on the stack. */
struct loop {
    struct work *work;
};

VH_INLINE struct work *work_of(__u32 hook)
{
    struct work *work = bpf_map_lookup_elem(&vh_fw_works, &hook);

    if (work) {
        __builtin_memset(&work->packet, 0, sizeof(work->packet));
        __builtin_memset(&work->search, 0, sizeof(work->search));
    }
    return work;
}

enum { FLOW, LINK, PKTTYPE, PROTO, NEXT, TTL, TOS, FLAGS, EXT };
enum { FRAG, TH0, TH2 };
enum { EXT_HOP = 1, EXT_DEST = 2, EXT_ROUTE = 4, EXT_AUTH = 8, EXT_FRAG = 16 };

#define EXT_HEADERS 2 /* packets with more pass; the verifier tries all ways */
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

/* A table: of branches the verifier would try all. */
static const volatile __u8 ext_bits[256] = {[IPPROTO_HOPOPTS] = EXT_HOP,
                                            [IPPROTO_DSTOPTS] = EXT_DEST,
                                            [IPPROTO_ROUTING] = EXT_ROUTE,
                                            [IPPROTO_AH] = EXT_AUTH,
                                            [IPPROTO_FRAGMENT] = EXT_FRAG};

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
        __u8 bit = ext_bits[proto];
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
    return !ext_bits[proto] && read_transport(data, end, offset, left, packet);
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
    __u8 others = 0;
    __u8 all = 0xff;
    __u32 *link = NULL;

    if (mac + ETH_HLEN > (const __u8 *)end)
        return false;
    for (int i = 0; i < ETH_ALEN; i++) {
        others |= mac[i] ^ vh_fw_config.mac[i];
        all &= mac[i];
    }
    if (others)
        packet->small[PKTTYPE] = all == 0xff ? 1 : 2;
    link = bpf_map_lookup_elem(&vh_fw_links, &vlan);
    if (link)
        packet->small[LINK] = *link;
    return link && (!others || mac[0] & 1);
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

VH_INLINE __u8 is_known(struct work *work)
{
    if (!sight(VH_FW_SIGHT_COMPLETE) || sight(VH_FW_SIGHT_LOST))
        return 1;
    flow_of(&work->packet, false, &work->flow);
    return bpf_map_lookup_elem(&vh_fw_flows, &work->flow) != NULL;
}

VH_INLINE void remember(struct work *work)
{
    __u32 now = bpf_ktime_get_ns() >> 30;
    __u32 *last = NULL;

    flow_of(&work->packet, true, &work->flow);
    last = bpf_map_lookup_elem(&vh_fw_flows, &work->flow);
    if (last && *last == now)
        return;
    if (last)
        *last = now;
    else if (bpf_map_update_elem(&vh_fw_flows, &work->flow, &now, BPF_ANY))
        go_blind();
}

/* ---- classes ---- */

static long halve(__u32 index, struct loop *loop)
{
    struct edges *edges = &loop->work->edges;
    __u32 next = edges->found + (1u << (VH_FW_SEARCH - 1 - (index & 31)));
    __u32 key = edges->base + next;
    struct vh_fw_edge *edge = NULL;

    if (next >= edges->count)
        return 0;
    edge = bpf_map_lookup_elem(&vh_fw_edges, &key);
    if (edge &&
        (edge->high < edges->high || (edge->high == edges->high && edge->low <= edges->low)))
        edges->found = next;
    return 0;
}

/* Each of these leaves a class in `class`. False: there is none, which cannot be; where the
 * verifier does not see that, it looks at one way on, not at two. */
VH_INLINE bool find_address(const volatile struct vh_fw_table *table, struct work *work,
                            const __u32 *address, bool v6, __u32 *class)
{
    struct edges *edges = &work->edges;
    struct loop loop = {work};
    struct vh_fw_edge *edge = NULL;
    __u32 key = 0;

    edges->high = v6 ? (__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1]) : 0;
    edges->low =
        v6 ? (__u64)bpf_ntohl(address[2]) << 32 | bpf_ntohl(address[3]) : bpf_ntohl(address[0]);
    edges->base = table->base;
    edges->count = table->count;
    edges->found = 0;
    bpf_loop(VH_FW_SEARCH, halve, &loop, 0);
    key = edges->base + edges->found;
    edge = bpf_map_lookup_elem(&vh_fw_edges, &key);
    if (!edge)
        return false;
    *class = edge->class;
    return true;
}

VH_INLINE bool find_word(const volatile struct vh_fw_table *table, __u16 value, __u32 *class)
{
    __u32 key = table->base + value / 2;
    __u32 *classes = bpf_map_lookup_elem(&vh_fw_words, &key);

    if (!classes)
        return false;
    *class = classes[value & 1];
    return true;
}

VH_INLINE bool find_small(const volatile struct vh_fw_table *table, __u8 value, __u32 *class)
{
    __u32 key = table->base + value;
    __u32 *found = bpf_map_lookup_elem(&vh_fw_smalls, &key);

    if (!found)
        return false;
    *class = *found;
    return true;
}

VH_INLINE bool find_field(struct work *work, bool v6, int i)
{
    const volatile struct vh_fw_table *table = &vh_fw_config.table[v6][i];
    const struct packet *packet = &work->packet;
    __u32 *class = &work->search.class[i];

    if (!table->count)
        return true;
    if (i < VH_FW_SMALL)
        return find_small(table, packet->small[i], class);
    if (i < VH_FW_SMALL + VH_FW_WORD)
        return find_word(table, packet->word[i - VH_FW_SMALL], class);
    return find_address(table, work, packet->address[i - VH_FW_SMALL - VH_FW_WORD], v6, class);
}

VH_INLINE bool classify(struct work *work, bool v6)
{
#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        if (!find_field(work, v6, i))
            return false;
    }
    return true;
}

/* ---- rows ---- */

/* The number of the lowest bit that is set; there is one. It has no branches. */
VH_INLINE __u32 lowest(__u64 bits)
{
    bits = (bits & -bits) - 1;
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return bits * 0x0101010101010101 >> 56;
}

/* 1 if a bit is set, else 0. */
VH_INLINE __u64 any(__u64 bits)
{
    return (bits | -bits) >> 63;
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
        if (!class)
            return 0;
        summary &= class->summary;
    }
    return summary;
}

/* The rows of a block that take the packet. */
VH_INLINE bool rows_of(const struct search *search, bool v6, __u32 number, struct vh_fw_block *rows)
{
#pragma unroll
    for (int w = 0; w < VH_FW_WORDS; w++)
        rows->words[w] = ~0ull;
#pragma unroll
    for (int i = 0; i < VH_FW_ALL; i++) {
        __u32 key = search->class[i];
        struct vh_fw_class *class = NULL;
        struct vh_fw_block *block = NULL;

        if (!vh_fw_config.table[v6][i].count)
            continue;
        class = bpf_map_lookup_elem(&vh_fw_classes, &key);
        if (!class)
            return false;
        key = class->block[number & (VH_FW_BLOCKS - 1)];
        block = bpf_map_lookup_elem(&vh_fw_blocks, &key);
        if (!block)
            return false;
#pragma unroll
        for (int w = 0; w < VH_FW_WORDS; w++)
            rows->words[w] &= block->words[w];
    }
    return true;
}

/* The number of the first row in it from `first` on; 64 * VH_FW_WORDS: there is none. */
VH_INLINE __u32 first_of(struct vh_fw_block *rows, __u32 first)
{
    __u32 word = first / 64;
    __u32 left = 0;

    rows->words[word & (VH_FW_WORDS - 1)] &= ~0ull << (first & 63);
#pragma unroll
    for (int w = 0; w < VH_FW_WORDS; w++)
        left |= any(rows->words[w]) << w;
    left &= ~0u << (word & 31);
    if (!left)
        return 64 * VH_FW_WORDS;
    word = lowest(left) & (VH_FW_WORDS - 1);
    return word * 64 + lowest(rows->words[word]);
}

/* One step: the next block that has a row for the packet, and what the row says. 1: it is decided.
 */
VH_INLINE long step(struct work *work, bool v6)
{
    struct search *search = &work->search;
    __u32 summary = blocks_left(search, v6);
    __u32 first = search->from & (64 * VH_FW_WORDS - 1);
    __u32 block = 0;
    __u32 key = 0;
    __u32 *action = NULL;

    if (!summary)
        return 1;
    block = lowest(summary);
    if (!rows_of(search, v6, block, &work->rows))
        return 1;
    /* The first block may be one from the middle of which the packet goes on. */
    if (search->from / (64 * VH_FW_WORDS) != block)
        first = 0;
    first = first_of(&work->rows, first);
    search->from = block * 64 * VH_FW_WORDS + first;
    if (first == 64 * VH_FW_WORDS || search->from >= vh_fw_config.rows[v6])
        return search->from >= vh_fw_config.rows[v6];
    key = vh_fw_config.first_row[v6] + search->from;
    action = bpf_map_lookup_elem(&vh_fw_actions, &key);
    if (!action)
        return 1;
    search->row = *action >> 2;
    search->from = search->row;
    if ((*action & 3) == VH_FW_ROW_GOTO)
        return search->from >= vh_fw_config.rows[v6];
    search->action = *action & 3;
    return 1;
}

static long step4(__u32 index, struct loop *loop)
{
    return step(loop->work, false);
}

static long step6(__u32 index, struct loop *loop)
{
    return step(loop->work, true);
}

VH_INLINE bool search_rows(struct work *work, bool v6)
{
    struct loop loop = {work};

    if (!vh_fw_config.rows[v6])
        return false;
    if (vh_fw_config.table[v6][FLOW].count)
        work->packet.small[FLOW] = is_known(work);
    if (!classify(work, v6))
        return false;
    if (v6)
        bpf_loop(VH_FW_STEPS, step6, &loop, 0);
    else
        bpf_loop(VH_FW_STEPS, step4, &loop, 0);
    return work->search.action == VH_FW_ROW_DROP;
}

VH_INLINE bool drops(const void *data, const void *end, __u32 len, const struct vh_scratch *scratch,
                     __u32 hook)
{
    __u32 zero = 0;
    __u32 *mode = bpf_map_lookup_elem(&vh_fw_mode, &zero);
    struct work *work = work_of(hook);
    bool found = false;
    __u64 *count = NULL;

    if (!mode || !work || *mode == VH_FW_OFF || !read_ether(data, end, scratch, &work->packet) ||
        !read_packet(data, end, len, scratch, &work->packet))
        return false;
    if (work->packet.v6)
        found = search_rows(work, true);
    else
        found = search_rows(work, false);
    if (!found)
        return false;
    zero = work->search.row;
    count = bpf_map_lookup_elem(&vh_fw_drops, &zero);
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
    if (drops(data, end, bpf_xdp_get_buff_len(ctx), scratch, VH_HOOK_UPLINK))
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
    if (drops(data, end, ctx->len, scratch, VH_HOOK_EGRESS))
        return vh_drop(ctx, scratch, VH_STAGE_FIREWALL);
    return vh_next(ctx, scratch, VH_STAGE_FIREWALL);
}

VH_INLINE bool is_of_flow(const struct packet *packet)
{
    if (packet->v6)
        return packet->small[PROTO] != IPPROTO_HOPOPTS;
    return !(packet->word[FRAG] & 0x1fff);
}

/* A packet of the guest's that cannot be read may be of any flow. Those that are not IP are of
 * none, and later fragments are of their first one's. */
SEC("tc") int ingress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_INGRESS, VH_STAGE_FIREWALL);
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct work *work = work_of(VH_HOOK_INGRESS);
    bool ip = false;

    if (!scratch || !work)
        return VH_PASSED(ctx);
    ip = scratch->l3_proto == ETH_P_IP || scratch->l3_proto == ETH_P_IPV6;
    if (scratch->l3_proto == ETH_P_8021Q || scratch->l3_proto == ETH_P_8021AD)
        go_blind();
    else if (ip && !read_packet(data, end, ctx->len, scratch, &work->packet))
        go_blind();
    else if (ip && is_of_flow(&work->packet))
        remember(work);
    return vh_next(ctx, scratch, VH_STAGE_FIREWALL);
}
