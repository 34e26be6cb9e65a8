/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel that stands for a guest's, in a network namespace, and the host's programs beside it:
 * the same packets go to both.
 *
 * The guest's interface is eth0 (10.0.0.1, fd00::1), with a VLAN 10 on it. What comes there is sent
 * at the other end of a pair, and what the guest's kernel sends is read there. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "net/firewall-instance.h"

#define WORLD_PACKET_MAX 256

struct world_packet {
    guint8 bytes[WORLD_PACKET_MAX];
    gsize len;
    guint16 id; /* the IP header's, or of a flow label: tells packets apart */
    bool v6;
};

typedef struct World World;

/* In a namespace of its own (netspace_enter). */
World *world_new(void);
void world_free(World *world);

/* Puts rules in force, in the guest's kernel and as programs; lines that nft does not take are
 * taken out of the text. False: it takes none of them. */
bool world_set(World *world, char **rules);

/* The guest's kernel sends one; it has an IP header and what is behind it. */
void world_answer(World *world, const struct world_packet *packet);

/* Sends it to the guest. True: the host would drop it. */
bool world_send(World *world, const struct world_packet *packet);

/* What of the packets since world_set() the guest's kernel let pass, and what it did something
 * with, as sets of ids, by version. */
struct world_seen {
    GHashTable *accepted[2];
    GHashTable *touched[2];
};
void world_look(World *world, struct world_seen *seen);
void world_seen_clear(struct world_seen *seen);

/* The rules in force: how many there are, and how many have a note. */
guint world_rules(const World *world);
guint world_noted(const World *world);
guint world_drops(const World *world);

/* For rules: a statement with an effect that world_look tells. */
#define WORLD_TOUCH4 "add @touched4 { ip id }"
#define WORLD_TOUCH6 "add @touched6 { ip6 flowlabel }"
