/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Remembers the flows of which the guest has sent something, and tells which those are. */
#pragma once

#include "firewall-packet.h"

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
