// SPDX-License-Identifier: GPL-2.0-or-later
// Drops what the guest's firewall would drop, by the tables that vhintd has made of its rules, and
// remembers the flows of what the guest sends.
//
// A packet that is in any way not as it should be passes.
#include "firewall-search.h"

char vh_license[] SEC("license") = "GPL";

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
