/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a slot is: a program that the dispatcher calls for the packets of one guest, at one hook.
 *
 * An object has up to three programs, one for each hook that it wants, called by the hook's name:
 *
 *     SEC("xdp.frags") int uplink(struct xdp_md *ctx)
 *     SEC("tc") int egress(struct __sk_buff *ctx)
 *     SEC("tc") int ingress(struct __sk_buff *ctx)
 *
 * Each begins with vh_begin(), and ends with one of these, whose value it returns:
 *
 *     vh_next(ctx, scratch, stage)    it does not decide: the guest's next slot does, or the packet
 *                                     passes
 *     vh_drop(ctx, scratch, stage)    the packet is gone
 *     vh_answer(ctx, scratch, stage)  the packet, which is an answer now, goes back to where it
 *                                     came from
 *
 * `stage` is a constant, the slot's own. Only the packet's first part is in data..data_end: a slot
 * that needs more of it than it finds there passes the packet on. The maps below are the
 * dispatcher's; vhintd puts them in the place of those that an object has by these names. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "offload.h"

#define VH_INLINE static __attribute__((always_inline)) inline

/* ---- the dispatcher's maps ---- */

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, VH_NET_GUESTS *VH_STAGES);
    __type(key, __u32);
    __type(value, __u32);
} vh_uplink SEC(".maps"), vh_egress SEC(".maps"), vh_ingress SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VH_HOOKS);
    __type(key, __u32);
    __type(value, struct vh_scratch);
} vh_scratches SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VH_NET_GUESTS);
    __type(key, __u32);
    __type(value, struct vh_spent);
} vh_spents SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VH_NET_GUESTS *VH_HOOKS *VH_STAGES);
    __type(key, __u32);
    __type(value, struct vh_account);
} vh_accounts SEC(".maps");

/* By guest: grows with each packet that passed its tap without having been shown to its slots. What
 * a slot has concluded from all packets before is void then. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, VH_NET_GUESTS);
    __type(key, __u32);
    __type(value, __u64);
} vh_gaps SEC(".maps");

/* ---- what a slot begins and ends with ---- */

VH_INLINE struct vh_account *vh_account_of(const struct vh_scratch *scratch, __u32 stage)
{
    __u32 key = VH_ACCOUNT(scratch->guest, scratch->hook, stage);

    return bpf_map_lookup_elem(&vh_accounts, &key);
}

VH_INLINE struct vh_scratch *vh_begin_at(__u32 hook, __u32 stage)
{
    struct vh_scratch *scratch = bpf_map_lookup_elem(&vh_scratches, &hook);
    struct vh_account *account = scratch ? vh_account_of(scratch, stage) : NULL;

    if (account)
        account->packets += scratch->segments;
    return scratch;
}

/* NULL: never, but the verifier wants it asked; return VH_PASSED(ctx) then. */
#define vh_begin(hook, stage) vh_begin_at(hook, stage)
#define VH_PASSED(ctx) \
    _Generic((ctx), struct xdp_md * : XDP_PASS, struct __sk_buff * : TC_ACT_UNSPEC)

/* Charges what the stage took to its account and its guest's budget. */
VH_INLINE struct vh_account *vh_end(struct vh_scratch *scratch, __u32 stage)
{
    __u32 guest = scratch->guest;
    __u64 now = bpf_ktime_get_ns();
    __u64 took = now - scratch->since;
    struct vh_spent *spent = bpf_map_lookup_elem(&vh_spents, &guest);
    struct vh_account *account = vh_account_of(scratch, stage);

    scratch->since = now;
    if (spent)
        spent->ns -= took < spent->ns ? took : spent->ns;
    if (account)
        account->ns += took;
    return account;
}

VH_INLINE void vh_end_dropped(struct vh_scratch *scratch, __u32 stage)
{
    struct vh_account *account = vh_end(scratch, stage);

    if (account)
        account->dropped += scratch->segments;
}

VH_INLINE void vh_end_answered(struct vh_scratch *scratch, __u32 stage)
{
    struct vh_account *account = vh_end(scratch, stage);

    if (account)
        account->answered += scratch->segments;
}

/* The first slot that is there from `stage` on takes the packet over; else this returns. An element
 * of the array that is empty costs little. */
VH_INLINE void vh_call_xdp(struct xdp_md *ctx, const struct vh_scratch *scratch, __u32 stage)
{
#pragma unroll
    for (__u32 next = 0; next < VH_STAGES; next++)
        if (next >= stage)
            bpf_tail_call(ctx, &vh_uplink, VH_SLOT(scratch->guest, next));
}

VH_INLINE void vh_call_tc(struct __sk_buff *ctx, const struct vh_scratch *scratch, __u32 stage)
{
#pragma unroll
    for (__u32 next = 0; next < VH_STAGES; next++) {
        if (next < stage)
            continue;
        if (scratch->hook == VH_HOOK_INGRESS)
            bpf_tail_call(ctx, &vh_ingress, VH_SLOT(scratch->guest, next));
        else
            bpf_tail_call(ctx, &vh_egress, VH_SLOT(scratch->guest, next));
    }
}

VH_INLINE int vh_next_xdp(struct xdp_md *ctx, struct vh_scratch *scratch, __u32 stage)
{
    vh_end(scratch, stage);
    vh_call_xdp(ctx, scratch, stage + 1);
    return XDP_PASS;
}

/* TC_ACT_UNSPEC: whoever else is at the hook sees the packet, too. */
VH_INLINE int vh_next_tc(struct __sk_buff *ctx, struct vh_scratch *scratch, __u32 stage)
{
    vh_end(scratch, stage);
    vh_call_tc(ctx, scratch, stage + 1);
    return TC_ACT_UNSPEC;
}

VH_INLINE int vh_drop_xdp(struct xdp_md *ctx, struct vh_scratch *scratch, __u32 stage)
{
    vh_end_dropped(scratch, stage);
    return XDP_DROP;
}

VH_INLINE int vh_drop_tc(struct __sk_buff *ctx, struct vh_scratch *scratch, __u32 stage)
{
    vh_end_dropped(scratch, stage);
    return TC_ACT_SHOT;
}

VH_INLINE int vh_answer_xdp(struct xdp_md *ctx, struct vh_scratch *scratch, __u32 stage)
{
    vh_end_answered(scratch, stage);
    return XDP_TX;
}

/* What came through the tap to the guest goes back as if the guest had sent it. */
VH_INLINE int vh_answer_tc(struct __sk_buff *ctx, struct vh_scratch *scratch, __u32 stage)
{
    vh_end_answered(scratch, stage);
    return (int)bpf_redirect(ctx->ifindex, scratch->hook == VH_HOOK_EGRESS ? BPF_F_INGRESS : 0);
}

#define VH_BY_CTX(ctx, name) \
    _Generic((ctx), struct xdp_md * : name##_xdp, struct __sk_buff * : name##_tc)
#define vh_next(ctx, scratch, stage) VH_BY_CTX(ctx, vh_next)(ctx, scratch, stage)
#define vh_drop(ctx, scratch, stage) VH_BY_CTX(ctx, vh_drop)(ctx, scratch, stage)
#define vh_answer(ctx, scratch, stage) VH_BY_CTX(ctx, vh_answer)(ctx, scratch, stage)
