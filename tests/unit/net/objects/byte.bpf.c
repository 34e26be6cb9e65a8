// SPDX-License-Identifier: GPL-2.0-or-later
// A slot for tests: what becomes of a packet is written in the first byte of its UDP payload.
#include "slot.h"

#define PAYLOAD 28 /* from IPv4's header without options */

/* Which of the stages this instance is. */
const volatile __u32 vh_test_stage = 0;

/* 0: does it act, or only count? 1: what it has decided. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} test_state SEC(".maps");

static __always_inline char command(const void *data, const void *end,
                                    const struct vh_scratch *scratch)
{
    const char *byte = data + ETH_HLEN + PAYLOAD;

    /* The verifier wants a bound, and packets have at most one tag. */
    if (scratch->l3_offset == ETH_HLEN + 4)
        byte += 4;
    return scratch->l3_proto == ETH_P_IP && (const void *)(byte + 1) <= end ? *byte : 0;
}

/* Counts, and returns what is to be done: nothing, if it does not act. */
static __always_inline char decide(char command)
{
    __u32 acts = 0, hits = 1;
    __u64 *state = bpf_map_lookup_elem(&test_state, &acts);
    __u64 *count = bpf_map_lookup_elem(&test_state, &hits);

    if (!state || !count || (command != 'D' && command != 'A'))
        return 0;
    __sync_fetch_and_add(count, 1);
    return *state ? command : 0;
}

#define DECIDE(ctx, scratch, stage) \
    switch (decide( \
        command((const void *)(long)(ctx)->data, (const void *)(long)(ctx)->data_end, scratch))) { \
    case 'D': \
        return vh_drop(ctx, scratch, stage); \
    case 'A': \
        return vh_answer(ctx, scratch, stage); \
    default: \
        return vh_next(ctx, scratch, stage); \
    }

SEC("xdp.frags")
int uplink(struct xdp_md *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_UPLINK, vh_test_stage);

    if (!scratch)
        return VH_PASSED(ctx);
    DECIDE(ctx, scratch, vh_test_stage)
}

SEC("tc")
int egress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_EGRESS, vh_test_stage);

    if (!scratch)
        return VH_PASSED(ctx);
    DECIDE(ctx, scratch, vh_test_stage)
}

SEC("tc")
int ingress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_INGRESS, vh_test_stage);

    if (!scratch)
        return VH_PASSED(ctx);
    DECIDE(ctx, scratch, vh_test_stage)
}

char LICENSE[] SEC("license") = "GPL";
