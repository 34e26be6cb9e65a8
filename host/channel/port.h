/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The byte stream to one guest, on the main loop.
 *
 * Each turn (io/turn.h) reads at most VH_PORT_TURN bytes, so a guest that floods its port takes
 * turns with all others. Output is written at once as far as the socket takes it; the rest waits in
 * a queue of at most VH_PORT_QUEUE bytes. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "io/turn.h"

#define VH_PORT_TURN VH_TURN_BUFFER
#define VH_PORT_QUEUE (256u << 10)

typedef struct VhPort VhPort;

struct vh_port_funcs {
    void (*received)(const uint8_t *bytes, size_t len, gpointer data);
    void (*writable)(gpointer data); /* the queue has become empty */
    void (*closed)(gpointer data);   /* once; the port may be freed in it */
};

/* Takes `fd` (a connected non-blocking stream socket) over. `turn` and `funcs` are borrowed. */
VhPort *vh_port_new(VhTurn *turn, int fd, const struct vh_port_funcs *funcs, gpointer data);

/* Closes the socket; what is queued is lost. May be called from any of the port's functions. */
void vh_port_free(VhPort *port);

/* The port's own. */
VhMember *vh_port_member(VhPort *port);

/* Bytes that vh_port_send would take now. */
size_t vh_port_room(const VhPort *port);

/* Sends or queues all of `bytes`; more than vh_port_room is a programming error. */
void vh_port_send(VhPort *port, const uint8_t *bytes, size_t len);
