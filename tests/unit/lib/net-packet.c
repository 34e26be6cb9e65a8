// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/net-packet.h"

#include <string.h>

#define TCP_HEADER 20
#define UDP_HEADER 8

const guint8 net_guest_mac[6] = {0x52, 0x54, 0, 1, 2, 3};

static void put16(guint8 *at, guint value)
{
    at[0] = (guint8)(value >> 8);
    at[1] = (guint8)value;
}

static void put32(guint8 *at, guint32 value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static guint get16(const guint8 *at)
{
    return (guint)at[0] << 8 | at[1];
}

static guint64 sum(const guint8 *at, gsize length)
{
    guint64 result = 0;

    for (gsize i = 0; i < length; i++)
        result += (guint64)at[i] << (i & 1 ? 0 : 8);
    return result;
}

static guint16 fold(guint64 value)
{
    while (value >> 16)
        value = (value & 0xffff) + (value >> 16);
    return (guint16)value;
}

static gsize l3_of(const guint8 *bytes)
{
    return get16(bytes + 12) == 0x8100 ? 18 : 14;
}

static guint64 pseudo(const guint8 *l3, guint proto, gsize length)
{
    return (l3[0] >> 4 == 4 ? sum(l3 + 12, 8) : sum(l3 + 8, 32)) + proto + length;
}

static gsize make_ipv4(guint8 *l3, const struct net_shape *shape, gsize length)
{
    const guint8 server[4] = NET_SERVER_V4;
    guint8 *from = l3 + (shape->outward ? 16 : 12);
    guint8 *to = l3 + (shape->outward ? 12 : 16);

    l3[0] = 0x45;
    put16(l3 + 2, (guint)(20 + length));
    if (shape->damage == NET_FRAGMENT)
        put16(l3 + 6, 185);
    l3[8] = 64;
    l3[9] = shape->tcp ? 6 : 17;
    memcpy(from, server, 4);
    from[3] = shape->client;
    memcpy(to, server, 4);
    if (shape->damage == NET_OTHER_ADDRESS)
        to[3] ^= 0x80;
    put16(l3 + 10, (guint16)~fold(sum(l3, 20)));
    return 20;
}

static gsize make_ipv6(guint8 *l3, const struct net_shape *shape, gsize length)
{
    const guint8 server[16] = NET_SERVER_V6;
    guint8 *from = l3 + (shape->outward ? 24 : 8);
    guint8 *to = l3 + (shape->outward ? 8 : 24);

    l3[0] = 0x60;
    put16(l3 + 4, (guint)length);
    l3[6] = shape->tcp ? 6 : 17;
    if (shape->damage == NET_FRAGMENT)
        l3[6] = 44;
    l3[7] = 64;
    memcpy(from, server, 16);
    from[15] = shape->client;
    memcpy(to, server, 16);
    if (shape->damage == NET_OTHER_ADDRESS)
        to[15] ^= 0x80;
    return 40;
}

static void make_l4(guint8 *l4, const struct net_shape *shape, gsize length)
{
    put16(l4, shape->outward ? NET_SERVER_PORT : shape->port);
    put16(l4 + 2, shape->outward ? shape->port : NET_SERVER_PORT);
    if (!shape->tcp) {
        put16(l4 + 4, (guint)length);
        return;
    }
    put32(l4 + 4, shape->seq);
    put32(l4 + 8, shape->ack);
    l4[12] = TCP_HEADER / 4 << 4;
    l4[13] = (guint8)(shape->flags | (shape->ack ? 16 : 0));
    put16(l4 + 14, 512);
}

static void put_checksum(guint8 *at, enum net_damage damage, guint64 pseudo_sum, guint64 whole)
{
    guint16 value = (guint16)~fold(pseudo_sum + whole);

    if (damage == NET_BAD_CHECKSUM)
        value ^= 0x0101;
    if (damage == NET_PARTIAL_CHECKSUM)
        value = fold(pseudo_sum);
    if (damage == NET_NO_CHECKSUM)
        value = 0;
    put16(at, value);
}

void net_packet_make(struct net_packet *packet, const struct net_shape *shape)
{
    guint8 *bytes = packet->bytes;
    gsize header = shape->tcp ? TCP_HEADER : UDP_HEADER;
    gsize length = header + shape->length;
    guint8 *l3 = bytes + (shape->vlan ? 18 : 14);
    guint8 *l4 = NULL;

    memset(bytes, 0, 256);
    memcpy(bytes + (shape->outward ? 6 : 0), net_guest_mac, 6);
    bytes[shape->outward ? 0 : 6] = 2;
    if (shape->vlan) {
        put16(bytes + 12, 0x8100);
        put16(bytes + 14, (guint)shape->vlan);
    }
    put16(l3 - 2, shape->v6 ? 0x86dd : 0x800);
    l4 = l3 + (shape->v6 ? make_ipv6(l3, shape, length) : make_ipv4(l3, shape, length));
    g_assert((gsize)(l4 - bytes) + length <= sizeof(packet->bytes));
    make_l4(l4, shape, length);
    if (shape->length)
        memcpy(l4 + header, shape->payload, shape->length);
    put_checksum(l4 + (shape->tcp ? 16 : 6), shape->damage, pseudo(l3, shape->tcp ? 6 : 17, length),
                 sum(l4, length));
    packet->size = (gsize)(l4 - bytes) + length;
}

bool net_packet_valid(const guint8 *bytes, gsize size)
{
    gsize at = l3_of(bytes);
    const guint8 *l3 = bytes + at;
    bool v4 = l3[0] >> 4 == 4;
    gsize header = v4 ? 20 : 40;
    gsize length = size - at - header;
    const guint8 *l4 = l3 + header;

    return get16(l3 + (v4 ? 2 : 4)) == (v4 ? size - at : length) &&
           (!v4 || fold(sum(l3, 20)) == 0xffff) && get16(l4 + 4) == length &&
           fold(pseudo(l3, 17, length) + sum(l4, length)) == 0xffff;
}

const guint8 *net_packet_payload(const guint8 *bytes, gsize *length)
{
    const guint8 *l3 = bytes + l3_of(bytes);
    const guint8 *l4 = l3 + (l3[0] >> 4 == 4 ? 20 : 40);

    *length = get16(l4 + 4) - UDP_HEADER;
    return l4 + UDP_HEADER;
}
