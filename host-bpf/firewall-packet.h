/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a packet into the fields that rules are about. One that is in any way not as it should be
 * is refused. */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>

#include "firewall-work.h"

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
