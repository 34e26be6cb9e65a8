/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets as the cache sees them: whose, where the payload is, whether the checksum is right.
 *
 * One buffer per CPU (struct work) holds what is being read and the answer that is made of it. */
#pragma once

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include "offload-cache.h"
#include "slot.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keys are compared in words");

#define TEXT_MAX \
    VH_CACHE_LINE  /* of a packet from its transport header on: its checksum is checked */
#define CHUNK 512u /* bpf_csum_diff() takes no more */

/* Set by vhintd before load. */
const volatile __u16 cache_port = 11211;
const volatile struct vh_cache_address cache_addresses[VH_CACHE_ADDRESSES] = {};

#define TOKENS (VH_CACHE_KEYS + 2)
#define SPANS 32u /* room for those: a power of two */

struct span {
    __u32 at; /* in work.text */
    __u32 length;
    __u64 hash;
};

struct pseudo {
    __u8 from[16];
    __u8 to[16];
    __be32 length;
    __be32 proto;
};

struct work {
    struct pseudo pseudo;
    __u32 proto;     /* IPPROTO_UDP or _TCP */
    __u32 l4;        /* offset of the transport header in the packet */
    __u32 l4_length; /* with its payload */
    __u32 payload;   /* offset of the payload */
    __u32 length;    /* of the payload */
    __be16 sport, dport;
    __u32 seq, ack;
    __u8 flags; /* TCP's */
    bool part;  /* the first of fragments */
    /* ---- cache-text.h ---- */
    __u32 room; /* what of `text` is to be read */
    __u32 line; /* length of the line with its end; 0: no end was found */
    __u32 spans_used;
    __u32 at;       /* how far it has been looked at */
    __u32 token_at; /* where the token under way began */
    __u64 hash;
    bool odd;     /* there is something in the line that makes its meaning doubtful */
    bool many;    /* it has more tokens than there is room for */
    bool quiet;   /* it says noreply */
    __u32 data;   /* bytes that follow the line, with their line end */
    __u64 expiry; /* s from now; 0: never; EXPIRY_UNKNOWN */
    struct span spans[SPANS];
    /* ---- cache-answer.h ---- */
    __u32 made; /* length of the answer's text */
    __u32 sum;  /* of that, not complemented */
    __u8 text[TEXT_MAX + CHUNK];
    __u8 out[4096];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct work);
} cache_works SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct vh_cache_figures);
} cache_figures SEC(".maps");

/* Keeps a number below a power of two in a way that no compiler takes out again: the verifier asks
 * for it after the last time that the number was in memory. */
#define BELOW(number, power) asm volatile("%0 &= %1" : "+r"(number) : "i"((power)-1))

/* The same for a length that is from 1 to the power. Older verifiers learn nothing from "not 0". */
#define WITHIN(length, power) \
    do { \
        (length)--; \
        BELOW(length, power); \
        (length)++; \
    } while (0)

#define COUNT(what) \
    do { \
        __u32 zero_ = 0; \
        struct vh_cache_figures *figures_ = bpf_map_lookup_elem(&cache_figures, &zero_); \
        if (figures_) \
            figures_->what++; \
    } while (0)

VH_INLINE struct work *work_of_cpu(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&cache_works, &zero);
}

/* `xdp` is a constant wherever these are called. */
VH_INLINE long load_bytes(void *ctx, bool xdp, __u32 at, void *to, __u32 length)
{
    return xdp ? bpf_xdp_load_bytes(ctx, at, to, length) : bpf_skb_load_bytes(ctx, at, to, length);
}

VH_INLINE long store_bytes(void *ctx, bool xdp, __u32 at, void *from, __u32 length)
{
    return xdp ? bpf_xdp_store_bytes(ctx, at, from, length)
               : bpf_skb_store_bytes(ctx, at, from, length, BPF_F_INVALIDATE_HASH);
}

enum whose {
    OURS,   /* a UDP or TCP packet to or from memcached */
    OTHERS, /* certainly not */
    HIDDEN, /* it may have a command, and it cannot be seen which */
};

VH_INLINE bool is_served(const __u8 *address)
{
    const __u64 *words = (const __u64 *)address;

#pragma unroll
    for (__u32 i = 0; i < VH_CACHE_ADDRESSES; i++) {
        const volatile __u64 *known = (const volatile __u64 *)cache_addresses[i].bytes;

        if (words[0] == known[0] && words[1] == known[1] && (words[0] || words[1]))
            return true;
    }
    return false;
}

#define MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET 0x1fff

VH_INLINE enum whose read_ipv4(void *ctx, bool xdp, const struct vh_scratch *scratch,
                               struct work *work, bool outward)
{
    struct iphdr ip;
    __u32 header = 0;
    __u16 fragment = 0;

    if (load_bytes(ctx, xdp, scratch->l3_offset, &ip, sizeof(ip)) < 0)
        return OTHERS;
    if (ip.protocol != IPPROTO_UDP && ip.protocol != IPPROTO_TCP)
        return OTHERS;
    /* The guest drops it. */
    header = ip.ihl * 4u;
    if (ip.version != 4 || header < sizeof(ip) || bpf_ntohs(ip.tot_len) < header)
        return scratch->segments > 1 ? HIDDEN : OTHERS;
    __builtin_memset(&work->pseudo, 0, sizeof(work->pseudo));
    __builtin_memcpy(work->pseudo.from, &ip.saddr, sizeof(ip.saddr));
    __builtin_memcpy(work->pseudo.to, &ip.daddr, sizeof(ip.daddr));
    work->proto = ip.protocol;
    work->l4 = scratch->l3_offset + header;
    work->l4_length = bpf_ntohs(ip.tot_len) - header;
    fragment = bpf_ntohs(ip.frag_off);
    /* What memcached says begins in a first fragment, and that has its port. */
    if (outward && fragment & FRAGMENT_OFFSET)
        return OTHERS;
    work->part = (fragment & MORE_FRAGMENTS) != 0;
    return !outward && fragment & (FRAGMENT_OFFSET | MORE_FRAGMENTS) ? HIDDEN : OURS;
}

/* Headers of IPv6 that another header follows. */
VH_INLINE bool is_extension(__u8 next)
{
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
           next == IPPROTO_DSTOPTS || next == IPPROTO_AH || next == 135 || next == 139 ||
           next == 140;
}

/* Multicast listeners are asked and answered with an option in front; that is no command. */
VH_INLINE bool is_icmp(void *ctx, bool xdp, __u32 at, __u8 next)
{
    __u8 after = 0;

    return next == IPPROTO_HOPOPTS && load_bytes(ctx, xdp, at, &after, sizeof(after)) == 0 &&
           after == IPPROTO_ICMPV6;
}

VH_INLINE enum whose read_ipv6(void *ctx, bool xdp, const struct vh_scratch *scratch,
                               struct work *work)
{
    struct ipv6hdr ip;
    __u32 l4 = scratch->l3_offset + (__u32)sizeof(ip);

    if (load_bytes(ctx, xdp, scratch->l3_offset, &ip, sizeof(ip)) < 0)
        return OTHERS;
    if (is_extension(ip.nexthdr))
        return is_icmp(ctx, xdp, l4, ip.nexthdr) ? OTHERS : HIDDEN;
    if (ip.nexthdr != IPPROTO_UDP && ip.nexthdr != IPPROTO_TCP)
        return OTHERS;
    __builtin_memcpy(work->pseudo.from, &ip.saddr, sizeof(ip.saddr));
    __builtin_memcpy(work->pseudo.to, &ip.daddr, sizeof(ip.daddr));
    work->proto = ip.nexthdr;
    work->l4 = l4;
    work->l4_length = bpf_ntohs(ip.payload_len);
    work->part = false;
    return OURS;
}

VH_INLINE enum whose read_udp(void *ctx, bool xdp, const struct vh_scratch *scratch,
                              struct work *work)
{
    struct udphdr udp;

    if (load_bytes(ctx, xdp, work->l4, &udp, sizeof(udp)) < 0)
        return OTHERS;
    work->sport = udp.source;
    work->dport = udp.dest;
    /* Several datagrams in one. */
    if (scratch->segments > 1)
        return HIDDEN;
    if (bpf_ntohs(udp.len) < sizeof(udp) || bpf_ntohs(udp.len) > work->l4_length)
        return OTHERS;
    work->l4_length = bpf_ntohs(udp.len);
    work->payload = work->l4 + (__u32)sizeof(udp);
    work->length = work->l4_length - (__u32)sizeof(udp);
    return OURS;
}

VH_INLINE enum whose read_tcp(void *ctx, bool xdp, struct work *work)
{
    struct tcphdr tcp;
    __u32 header = 0;

    if (load_bytes(ctx, xdp, work->l4, &tcp, sizeof(tcp)) < 0)
        return OTHERS;
    header = tcp.doff * 4u;
    if (header < sizeof(tcp) || header > work->l4_length)
        return OTHERS;
    work->sport = tcp.source;
    work->dport = tcp.dest;
    work->payload = work->l4 + header;
    work->length = work->l4_length - header;
    work->seq = bpf_ntohl(tcp.seq);
    work->ack = bpf_ntohl(tcp.ack_seq);
    work->flags = (__u8)(tcp.fin | tcp.syn << 1 | tcp.rst << 2 | tcp.ack << 4);
    return OURS;
}
#define FLAG_FIN 1
#define FLAG_SYN 2
#define FLAG_RST 4
#define FLAG_ACK 16

/* Whose is it? `outward`: it comes from the guest. */
VH_INLINE enum whose read_packet(void *ctx, bool xdp, const struct vh_scratch *scratch,
                                 struct work *work, bool outward)
{
    enum whose whose = OTHERS;
    bool served = false;

    if (scratch->l3_proto == ETH_P_IP)
        whose = read_ipv4(ctx, xdp, scratch, work, outward);
    else if (scratch->l3_proto == ETH_P_IPV6)
        whose = read_ipv6(ctx, xdp, scratch, work);
    if (whose != OURS)
        return whose;
    if (!xdp && scratch->segments > 1 && ((struct __sk_buff *)ctx)->len > work->l4)
        work->l4_length = ((struct __sk_buff *)ctx)->len - work->l4;
    whose =
        work->proto == IPPROTO_UDP ? read_udp(ctx, xdp, scratch, work) : read_tcp(ctx, xdp, work);
    if (whose == OTHERS || (outward ? work->sport : work->dport) != bpf_htons(cache_port))
        return OTHERS;
    served = is_served(outward ? work->pseudo.from : work->pseudo.to);
    work->pseudo.length = bpf_htonl(work->l4_length);
    work->pseudo.proto = bpf_htonl(work->proto);
    return served && !work->part ? whose : HIDDEN;
}

VH_INLINE struct vh_cache_flow flow_of(const struct work *work, bool outward)
{
    struct vh_cache_flow flow = {.port = outward ? work->dport : work->sport};

    __builtin_memcpy(flow.client, outward ? work->pseudo.to : work->pseudo.from, 16);
    __builtin_memcpy(flow.server, outward ? work->pseudo.from : work->pseudo.to, 16);
    return flow;
}

/* ---- checksums ---- */

VH_INLINE __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)sum;
}

/* Of work.text's first `length` bytes, not complemented. It overwrites what follows them. */
__attribute__((noinline)) __u32 cache_sum_text(__u32 length)
{
    struct work *work = work_of_cpu();
    __u32 sum = 0;

    if (!work || length > TEXT_MAX)
        return 0;
    __builtin_memset(work->text + length, 0, 4);
    for (__u32 i = 0; i < TEXT_MAX / CHUNK; i++) {
        __u32 left = length > i * CHUNK ? length - i * CHUNK : 0;

        left = left > CHUNK ? CHUNK : (left + 3) & ~3u;
        if (!left)
            break;
        BELOW(left, 2 * CHUNK);
        sum = (__u32)bpf_csum_diff(NULL, 0, (void *)(work->text + i * CHUNK), left, sum);
    }
    return sum;
}

VH_INLINE __u64 sum_pseudo(struct work *work)
{
    return (__u32)bpf_csum_diff(NULL, 0, (void *)&work->pseudo, sizeof(work->pseudo), 0);
}

enum checksum { BROKEN, WHOLE, PARTIAL };

/* Will the guest take it? The transport header's checksum is at `at` in it. A sender on this
 * machine may have left it to the guest, which believes the host: PARTIAL. */
VH_INLINE enum checksum check_packet(void *ctx, bool xdp, struct work *work, __u32 at)
{
    __u32 length = work->l4_length;
    __u64 pseudo = sum_pseudo(work);
    __u16 field = 0;

    if (length < sizeof(struct udphdr) || length > TEXT_MAX)
        return BROKEN;
    WITHIN(length, TEXT_MAX);
    if (load_bytes(ctx, xdp, work->l4, work->text, length) < 0)
        return BROKEN;
    __builtin_memcpy(&field, work->text + at, sizeof(field));
    if (field == fold(pseudo))
        return PARTIAL;
    /* Of IPv4: the sender has made none. */
    if (!field && work->proto == IPPROTO_UDP)
        return *(__u64 *)(work->pseudo.from + 8) ? BROKEN : WHOLE;
    return fold(pseudo + cache_sum_text(length)) == 0xffff ? WHOLE : BROKEN;
}
