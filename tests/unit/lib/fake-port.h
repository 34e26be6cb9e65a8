/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An injector at the other end of a channel's socket, on the main loop. It says only what it is
 * told to, and remembers what it hears. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "msg.h"

struct fake_port {
    char *path;
    int listener; /* -1: there is none yet */
    guint accepting;
    int fd; /* -1: nobody is connected */
    guint reading;
    struct vh_decoder decoder;
    uint8_t *buffer;
    GString *heard;        /* the types of frames, as words, since the last look */
    struct vh_hello hello; /* the last one heard */
    uint8_t boot;          /* of the next hello's boot id */
    uint32_t last_id;      /* of the last request heard */
};

/* At DIRECTORY/channel, once it listens. */
void fake_port_begin(struct fake_port *port, const char *directory);
void fake_port_listen(struct fake_port *port);
void fake_port_end(struct fake_port *port);

bool fake_port_is_connected(const struct fake_port *port);
/* The types of what was heard since the last call. */
void fake_port_assert_heard(struct fake_port *port, const char *expected);

/* One frame of two parts. */
void fake_port_say(struct fake_port *port, enum vh_type type, uint32_t id, const void *a,
                   size_t a_len, const void *b, size_t b_len);
/* An injector of these versions answers the last HELLO as session number `session`. */
void fake_port_hello(struct fake_port *port, uint64_t session, uint16_t version_min,
                     uint16_t version_max);
/* CPUs 0 to `count` - 1, online, with these APIC ids. */
void fake_port_cpus(struct fake_port *port, const uint32_t *apic_ids, uint32_t count);
/* `name` runs as `id`, with an object of this digest, and state. id 0: nothing runs. */
void fake_port_programs(struct fake_port *port, uint32_t id, const char *name,
                        const uint8_t digest[VH_DIGEST_SIZE], uint64_t seq);
/* Answers the last request. */
void fake_port_answer(struct fake_port *port, uint32_t error);
void fake_port_hang_up(struct fake_port *port);
