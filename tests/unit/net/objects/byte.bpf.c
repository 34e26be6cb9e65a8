// SPDX-License-Identifier: GPL-2.0-or-later
// A slot for tests: what becomes of a packet is written in the first byte of its UDP payload.
#include "slot.h"

#define PAYLOAD 28 /* from IPv4's header without options */

/* Which of the stages this instance is. */
const volatile __u32 vh_test_stage = 0;

static __always_inline char command(const void *data, const void *end,
                                    const struct vh_scratch *scratch)
{
    const char *byte = data + ETH_HLEN + PAYLOAD;

    /* The verifier wants a bound, and packets have at most one tag. */
    if (scratch->l3_offset == ETH_HLEN + 4)
        byte += 4;
    return scratch->l3_proto == ETH_P_IP && (const void *)(byte + 1) <= end ? *byte : 0;
}

#define DECIDE(ctx, scratch, stage) \
    switch ( \
        command((const void *)(long)(ctx)->data, (const void *)(long)(ctx)->data_end, scratch)) { \
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
