// SPDX-License-Identifier: GPL-2.0-or-later
// Answers GETs that memcached in the guest would answer, and knows when it must not.
//
// Read docs/offload.md, "Cache", first. The parts, from the bottom up: cache-packet.h,
// cache-text.h, cache-store.h, cache-answer.h, cache-replies.h, cache-udp.h, cache-tcp.h.
#include "cache-tcp.h"

/* Everything that goes to the guest passes here, and what came from the uplink has been there. */
VH_INLINE bool to_guest(void *ctx, bool xdp, const struct vh_scratch *scratch)
{
    struct work *work = work_of_cpu();
    struct moment moment;
    enum whose whose = OTHERS;

    if (!work)
        return false;
    whose = read_packet(ctx, xdp, scratch, work, false);
    if (whose == OTHERS || !read_moment(scratch, &moment))
        return false;
    if (whose == HIDDEN) {
        if (!xdp) {
            COUNT(fragments);
            suspend(&moment);
        }
        return false;
    }
    if (work->proto == IPPROTO_UDP)
        return udp_to_guest(ctx, xdp, scratch, &moment, work);
    if (!xdp)
        tcp_to_guest(ctx, scratch, &moment, work);
    return false;
}

SEC("xdp.frags")
int uplink(struct xdp_md *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_UPLINK, VH_STAGE_CACHE);

    if (!scratch)
        return VH_PASSED(ctx);
    if (to_guest(ctx, true, scratch))
        return vh_answer(ctx, scratch, VH_STAGE_CACHE);
    return vh_next(ctx, scratch, VH_STAGE_CACHE);
}

/* An answer of this hook's comes in on the tap like the guest's own. The guest cannot set it. */
#define MARK_ANSWER 0x76686361u

SEC("tc")
int egress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_EGRESS, VH_STAGE_CACHE);

    if (!scratch)
        return VH_PASSED(ctx);
    if (to_guest(ctx, false, scratch)) {
        ctx->mark = MARK_ANSWER;
        return vh_answer(ctx, scratch, VH_STAGE_CACHE);
    }
    return vh_next(ctx, scratch, VH_STAGE_CACHE);
}

VH_INLINE void from_guest(struct __sk_buff *ctx, const struct vh_scratch *scratch)
{
    struct work *work = work_of_cpu();
    struct moment moment;
    enum whose whose = OTHERS;

    if (!work)
        return;
    whose = read_packet(ctx, false, scratch, work, true);
    if (whose == OTHERS || !read_moment(scratch, &moment))
        return;
    if (whose == HIDDEN) {
        COUNT(fragments);
        flush(&moment);
    } else if (work->proto == IPPROTO_UDP) {
        udp_from_guest(ctx, &moment, work);
    } else {
        tcp_from_guest(ctx, &moment, work);
    }
}

SEC("tc")
int ingress(struct __sk_buff *ctx)
{
    struct vh_scratch *scratch = vh_begin(VH_HOOK_INGRESS, VH_STAGE_CACHE);

    if (!scratch)
        return VH_PASSED(ctx);
    if (ctx->mark == MARK_ANSWER)
        ctx->mark = 0;
    else
        from_guest(ctx, scratch);
    return vh_next(ctx, scratch, VH_STAGE_CACHE);
}

char LICENSE[] SEC("license") = "GPL";
