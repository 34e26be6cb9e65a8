/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets between a client and a guest's server, made by hand, with right checksums. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define NET_SERVER_PORT 11211
#define NET_SERVER_V4 \
    { \
        10, 0, 0, 1 \
    }
#define NET_SERVER_V6 \
    { \
        0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 \
    }

extern const guint8 net_guest_mac[6];

enum net_damage {
    NET_WHOLE,
    NET_BAD_CHECKSUM,
    NET_PARTIAL_CHECKSUM, /* left to the receiver, as between machines on one host */
    NET_NO_CHECKSUM,      /* UDP */
    NET_FRAGMENT,         /* IPv4 and IPv6: not the first */
    NET_OTHER_ADDRESS,    /* of the server */
};

struct net_shape {
    bool v6, tcp, outward; /* outward: from the server */
    guint8 client;         /* last byte of its address */
    guint16 port;          /* the client's */
    int vlan;              /* 0: none */
    enum net_damage damage;
    guint32 seq, ack; /* TCP */
    guint8 flags;     /* TCP: 1 FIN, 2 SYN, 4 RST; ACK is set if ack is */
    const void *payload;
    gsize length;
};

struct net_packet {
    guint8 bytes[4096];
    gsize size;
};

void net_packet_make(struct net_packet *packet, const struct net_shape *shape);
/* Checksums of the network and transport headers are right, and the lengths are those of `size`. */
bool net_packet_valid(const guint8 *bytes, gsize size);
/* Where the payload of a UDP packet is. */
const guint8 *net_packet_payload(const guint8 *bytes, gsize *length);
