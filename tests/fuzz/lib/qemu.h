/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of a guest's monitor, as a script wants it: over a connection, or a road as
 * libvirt's. */
#pragma once

#include <stdbool.h>

#include "guest/state.h"
#include "inventory/maker.h"
#include "lib/script.h"

struct qemu {
    VhGuest *guest;
    bool over; /* by a road */
    int fd;    /* -1: there is no connection */
    bool deaf; /* reads nothing */
    GString *input;
    GArray *asked;                    /* struct asked */
    const struct vh_qmp_funcs *funcs; /* of a road; NULL: it has been left */
    gpointer data;
};

extern const struct vh_maker qemu_maker; /* its guest's `owner` is the qemu */

void qemu_begin(struct qemu *qemu, bool over);
/* Once the guest is gone. */
void qemu_end(struct qemu *qemu);
/* Makes a connection, if there is none. */
void qemu_connect(struct qemu *qemu);
void qemu_hang_up(struct qemu *qemu);
/* Takes what it is asked. */
void qemu_hear(struct qemu *qemu);
/* Says one thing. */
void qemu_say(struct qemu *qemu, struct script *script);
