/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of a guest's channel, as a script wants it. */
#pragma once

#include <stdbool.h>

#include "lib/script.h"
#include "msg.h"

#define PEER_ASKED_MAX 256u /* more than a host may leave unanswered */

struct peer {
    int fd;    /* -1: there is no channel */
    bool deaf; /* reads nothing */
    struct vh_decoder decoder;
    uint8_t *buffer;
    uint64_t host; /* the session that was heard of last */
    struct {
        uint32_t id;
        uint8_t type;
    } asked[PEER_ASKED_MAX];
    unsigned count;
    uint64_t seq; /* of the next hint */
};

void peer_begin(struct peer *peer);
void peer_end(struct peer *peer);
/* Returns the host's end of a new channel. */
int peer_open(struct peer *peer);
void peer_hang_up(struct peer *peer);
/* Takes what the host has said. */
void peer_hear(struct peer *peer);
/* Says one thing. */
void peer_say(struct peer *peer, struct script *script);
