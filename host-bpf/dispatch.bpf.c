// SPDX-License-Identifier: GPL-2.0-or-later
// Finds whose packet it is, and calls that guest's slots within its budget.
#include <stdbool.h>

#include "slot.h"

/* Of the tap that `egress` and `ingress` of this instance are attached to. */
const volatile __u32 vh_tap_guest = 0;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, VH_NET_GUESTS * 8);
    __type(key, struct vh_mac);
    __type(value, __u32);
} vh_macs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, VH_NET_GUESTS);
    __type(key, __u32);
    __type(value, struct vh_lease);
} vh_guests SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, VH_NET_GUESTS);
    __type(key, __u32);
    __type(value, struct vh_net_name);
} vh_names SEC(".maps");

/* Of the guest's budget: the period in the upper half, chunks drawn in it in the lower. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, VH_NET_GUESTS);
    __type(key, __u32);
    __type(value, __u64);
} vh_budgets SEC(".maps");

struct tag {
    __be16 tci;
    __be16 proto;
};

/* ---- the budget ---- */

#define DRAW_TRIES 4

/* Takes one more chunk of the period, if there is one. Another CPU may be as quick, a few times. */
VH_INLINE bool draw(__u32 guest, __u64 period)
{
    __u64 *budget = bpf_map_lookup_elem(&vh_budgets, &guest);

    for (int i = 0; budget && i < DRAW_TRIES; i++) {
        __u64 old = *(volatile __u64 *)budget;
        __u64 drawn = old >> 32 == (__u32)period ? (__u32)old : 0;

        if (drawn >= VH_BUDGET_CHUNKS)
            return false;
        if (__sync_val_compare_and_swap(budget, old, period << 32 | (drawn + 1)) == old)
            return true;
    }
    return false;
}

/* May the guest's slots see the packet? */
VH_INLINE bool admit(struct vh_scratch *scratch)
{
    __u32 guest = scratch->guest;
    __u64 period = scratch->since >> VH_BUDGET_SHIFT;
    const struct vh_lease *lease = bpf_map_lookup_elem(&vh_guests, &guest);
    struct vh_spent *spent = bpf_map_lookup_elem(&vh_spents, &guest);
    struct vh_account *account = NULL;

    if (!lease || !spent || scratch->since >= lease->until)
        return false;
    if (spent->period != period)
        *spent = (struct vh_spent){.period = period};
    if (!spent->ns || !spent->packets) {
        if (!draw(guest, period)) {
            account = vh_account_of(scratch, 0);
            if (account)
                account->over += scratch->segments;
            return false;
        }
        spent->ns += lease->chunk_ns;
        spent->packets += lease->chunk_packets;
    }
    spent->packets -= scratch->segments < spent->packets ? scratch->segments : spent->packets;
    return true;
}

/* The packet passes unseen. Done before it goes on, so that its effects come after. */
VH_INLINE void note_gap(const struct vh_scratch *scratch)
{
    __u32 guest = scratch->guest;
    __u64 *gaps = bpf_map_lookup_elem(&vh_gaps, &guest);

    if (gaps)
        __sync_fetch_and_add(gaps, 1);
}

/* ---- the uplink ---- */

SEC("xdp.frags")
int uplink(struct xdp_md *ctx)
{
    const void *end = (const void *)(long)ctx->data_end;
    const struct ethhdr *eth = (const void *)(long)ctx->data;
    const struct tag *tag = (const void *)(eth + 1);
    __u32 hook = VH_HOOK_UPLINK;
    struct vh_scratch *scratch = NULL;
    struct vh_mac key = {};
    const __u32 *guest = NULL;
    __u16 proto = 0;
    __u16 offset = ETH_HLEN;

    if ((const void *)(eth + 1) > end || eth->h_dest[0] & 1)
        return XDP_PASS;
    proto = bpf_ntohs(eth->h_proto);
    __builtin_memcpy(key.mac, eth->h_dest, ETH_ALEN);
    if (proto == ETH_P_8021Q || proto == ETH_P_8021AD) {
        if ((const void *)(tag + 1) > end)
            return XDP_PASS;
        key.vlan = bpf_ntohs(tag->tci) & 0xfff;
        proto = bpf_ntohs(tag->proto);
        offset += sizeof(*tag);
    }
    guest = bpf_map_lookup_elem(&vh_macs, &key);
    scratch = guest ? bpf_map_lookup_elem(&vh_scratches, &hook) : NULL;
    if (!scratch)
        return XDP_PASS;
    *scratch = (struct vh_scratch){.since = bpf_ktime_get_ns(),
                                   .guest = *guest,
                                   .hook = VH_HOOK_UPLINK,
                                   .l3_offset = offset,
                                   .l3_proto = proto,
                                   .vlan = key.vlan,
                                   .segments = 1};
    if (admit(scratch))
        vh_call_xdp(ctx, scratch, 0);
    return XDP_PASS;
}

/* ---- a tap ---- */

/* Reads a tag that is in the packet: one beside it is in the skb. */
VH_INLINE void read_tag(struct __sk_buff *skb, struct vh_scratch *scratch)
{
    struct tag tag;

    if (bpf_skb_load_bytes(skb, ETH_HLEN, &tag, sizeof(tag)) < 0)
        return;
    scratch->vlan = bpf_ntohs(tag.tci) & 0xfff;
    scratch->l3_proto = bpf_ntohs(tag.proto);
    scratch->l3_offset += sizeof(tag);
}

VH_INLINE int tap(struct __sk_buff *skb, __u32 hook)
{
    struct vh_scratch *scratch = bpf_map_lookup_elem(&vh_scratches, &hook);
    __u16 proto = bpf_ntohs((__u16)skb->protocol);

    if (!scratch)
        return TC_ACT_UNSPEC;
    *scratch = (struct vh_scratch){.since = bpf_ktime_get_ns(),
                                   .guest = vh_tap_guest,
                                   .hook = hook,
                                   .l3_offset = ETH_HLEN,
                                   .l3_proto = proto,
                                   .segments = skb->gso_segs ?: 1};
    if (skb->vlan_present)
        scratch->vlan = skb->vlan_tci & 0xfff;
    else if (proto == ETH_P_8021Q || proto == ETH_P_8021AD)
        read_tag(skb, scratch);
    if (admit(scratch))
        vh_call_tc(skb, scratch, 0);
    else
        note_gap(scratch);
    return TC_ACT_UNSPEC;
}

SEC("tc")
int egress(struct __sk_buff *skb)
{
    return tap(skb, VH_HOOK_EGRESS);
}

SEC("tc")
int ingress(struct __sk_buff *skb)
{
    return tap(skb, VH_HOOK_INGRESS);
}

char LICENSE[] SEC("license") = "GPL";
