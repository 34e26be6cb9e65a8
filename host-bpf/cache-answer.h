/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a request into its answer, if all of its keys are cached. */
#pragma once

#include "cache-store.h"

#define FRAME 8u /* memcached's header in each datagram: id, number, of how many, reserved */
#define HEADERS (FRAME + (__u32)sizeof(struct udphdr))
#define END_LINE 5u
#define VALUE_WORD 6u /* "VALUE " */

struct gather {
    struct work *work;
    __u64 now;
    __u64 epoch;
    __u32 found;
};

/* Is the key of the entry that stands at out[at] that of the token? */
VH_INLINE bool has_key(const struct work *work, __u32 at, __u32 token_at, __u32 length)
{
    const __u8 *entry = NULL;
    const __u8 *token = NULL;

    BELOW(at, 2048);
    BELOW(token_at, TEXT_MAX);
    entry = work->out + at;
    token = work->text + token_at;
    for (__u32 i = 0; i < (VH_CACHE_KEY + 7) / 8; i++) {
        __u64 one = 0;
        __u64 other = 0;
        __u32 left = length - i * 8;

        if (i * 8 >= length)
            break;
        __builtin_memcpy(&one, entry + i * 8, sizeof(one));
        __builtin_memcpy(&other, token + i * 8, sizeof(other));
        one ^= other;
        if (left < 8)
            one &= (1ull << left * 8) - 1;
        if (one)
            return false;
    }
    return true;
}

VH_INLINE __u32 shifted(__u32 sum, __u32 at)
{
    __u32 part = fold(sum);

    return at & 1 ? (part << 8 | part >> 8) & 0xffff : part;
}

static long gather_key(__u32 i, struct gather *gather)
{
    struct work *work = gather->work;
    struct vh_cache_head *head = NULL;
    const void *text = NULL;
    __u32 token = i + 1;
    __u32 made = work->made;
    __u32 length = 0;
    __u32 bucket = 0;
    __u64 hash = 0;
    __u64 gen = 0;

    if (token >= TOKENS || token >= work->spans_used || made > VH_CACHE_REPLY)
        return 1;
    hash = work->spans[token].hash;
    bucket = bucket_of(hash);
    head = head_of(bucket);
    text = bpf_map_lookup_elem(&cache_texts, &bucket);
    if (!head || !text)
        return 1;
    gen = NOW(head->gen);
    length = head->length;
    if (NOW(head->stamp) != gen || head->epoch != gather->epoch || head->hash != hash ||
        head->key_length != work->spans[token].length || head->until <= gather->now || !length ||
        length > VH_CACHE_REPLY || made + length + END_LINE > VH_CACHE_REPLY)
        return 1;
    work->sum += shifted(head->sum, made);
    BELOW(made, 2048);
    BELOW(length, 2048);
    if (bpf_probe_read_kernel(work->out + HEADERS + made, length, text) < 0 ||
        !has_key(work, HEADERS + made + VALUE_WORD, work->spans[token].at,
                 work->spans[token].length))
        return 1;
    /* Nobody has written to it or filled it meanwhile. The barrier is for what was read before. */
    if (__sync_fetch_and_add(&head->stamp, 0) != gen || NOW(head->gen) != gen)
        return 1;
    work->made = made + length;
    gather->found++;
    return 0;
}

/* The values of all keys of the command that was scanned, in work.out. How many bytes; 0: not all
 * are cached. */
__attribute__((noinline)) __u32 cache_gather(__u64 now, __u64 epoch)
{
    struct gather gather = {.work = work_of_cpu(), .now = now, .epoch = epoch};

    if (!gather.work || gather.work->spans_used < 2)
        return 0;
    gather.work->made = 0;
    gather.work->sum = 0;
    bpf_loop(VH_CACHE_KEYS, gather_key, &gather, 0);
    return gather.found + 1 == gather.work->spans_used ? gather.work->made : 0;
}

/* The line at its end, and what stands before: UDP's header and the frame's. The length of all from
 * UDP's header on; 0: never. */
VH_INLINE __u32 finish(struct work *work, __be64 frame, enum checksum how)
{
    const __u64 last = WORD('E', 'N', 'D', '\r', '\n', 0, 0, 0);
    __u32 made = work->made;
    __u32 length = HEADERS + made + END_LINE;
    struct udphdr *udp = (void *)work->out;
    __u64 sum = 0;
    __u64 pseudo = 0;

    if (made > VH_CACHE_REPLY)
        return 0;
    __builtin_memcpy(work->out + HEADERS + made, &last, sizeof(last));
    work->sum += shifted((__u32)bpf_csum_diff(NULL, 0, (void *)&last, sizeof(last), 0), made);
    udp->source = work->dport;
    udp->dest = work->sport;
    udp->len = bpf_htons((__u16)length);
    udp->check = 0;
    __builtin_memcpy(work->out + sizeof(*udp), &frame, sizeof(frame));
    work->pseudo.length = bpf_htonl(length);
    pseudo = sum_pseudo(work);
    sum = (__u32)bpf_csum_diff(NULL, 0, (void *)work->out, HEADERS, 0);
    udp->check = ~fold(pseudo + sum + work->sum) ?: 0xffff;
    if (how == PARTIAL)
        udp->check = fold(pseudo);
    return length;
}

VH_INLINE long turn_ipv4(void *ctx, bool xdp, __u32 at, __u32 length)
{
    struct iphdr ip;
    __be32 from = 0;

    if (load_bytes(ctx, xdp, at, &ip, sizeof(ip)) < 0)
        return -1;
    from = ip.saddr;
    ip.saddr = ip.daddr;
    ip.daddr = from;
    ip.tos = 0;
    ip.tot_len = bpf_htons((__u16)(length + sizeof(ip)));
    ip.id = 0;
    ip.frag_off = bpf_htons(0x4000);
    ip.ttl = 64;
    ip.check = 0;
    ip.check = (__u16)~fold((__u32)bpf_csum_diff(NULL, 0, (void *)&ip, sizeof(ip), 0));
    return store_bytes(ctx, xdp, at, &ip, sizeof(ip));
}

VH_INLINE long turn_ipv6(void *ctx, bool xdp, __u32 at, __u32 length)
{
    struct ipv6hdr ip;
    struct in6_addr from;

    if (load_bytes(ctx, xdp, at, &ip, sizeof(ip)) < 0)
        return -1;
    from = ip.saddr;
    ip.saddr = ip.daddr;
    ip.daddr = from;
    *(__be32 *)&ip = bpf_htonl(0x60000000);
    ip.payload_len = bpf_htons((__u16)length);
    ip.hop_limit = 64;
    return store_bytes(ctx, xdp, at, &ip, sizeof(ip));
}

/* Is IPv4's header one that can be turned, and that the guest would have taken? */
VH_INLINE bool can_turn(void *ctx, bool xdp, const struct vh_scratch *scratch,
                        const struct work *work)
{
    struct iphdr ip;

    if (scratch->l3_proto != ETH_P_IP)
        return true;
    if (work->l4 != scratch->l3_offset + sizeof(ip) ||
        load_bytes(ctx, xdp, scratch->l3_offset, &ip, sizeof(ip)) < 0)
        return false;
    return fold((__u32)bpf_csum_diff(NULL, 0, (void *)&ip, sizeof(ip), 0)) == 0xffff;
}

VH_INLINE long resize(void *ctx, bool xdp, __u32 size)
{
    if (xdp)
        return bpf_xdp_adjust_tail(ctx, (int)size - (int)bpf_xdp_get_buff_len(ctx));
    return bpf_skb_change_tail(ctx, size, 0);
}

/* 0, or -1: the packet is as it was, except that it may be longer. */
VH_INLINE int turn(void *ctx, bool xdp, const struct vh_scratch *scratch, struct work *work,
                   __u32 length)
{
    __u32 l4 = work->l4;
    __u8 macs[2 * ETH_ALEN];
    __u8 turned[2 * ETH_ALEN];

    if (!length || length > HEADERS + VH_CACHE_REPLY + END_LINE)
        return -1;
    WITHIN(length, 2048);
    if (load_bytes(ctx, xdp, 0, macs, sizeof(macs)) < 0 || resize(ctx, xdp, l4 + length) < 0)
        return -1;
    __builtin_memcpy(turned, macs + ETH_ALEN, ETH_ALEN);
    __builtin_memcpy(turned + ETH_ALEN, macs, ETH_ALEN);
    if ((scratch->l3_proto == ETH_P_IP ? turn_ipv4(ctx, xdp, scratch->l3_offset, length)
                                       : turn_ipv6(ctx, xdp, scratch->l3_offset, length)) < 0 ||
        store_bytes(ctx, xdp, l4, work->out, length) < 0)
        return -1;
    return (int)store_bytes(ctx, xdp, 0, turned, sizeof(turned));
}
