/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose host CPUs libvirt lets an administrator set: a vCPU, the emulator, or an IOThread of a
 * guest. */
#pragma once

#include <glib.h>
#include <stdbool.h>

enum vh_seat_kind { VH_SEAT_VCPU, VH_SEAT_EMULATOR, VH_SEAT_IOTHREAD, VH_SEAT_KINDS };

#define VH_SEAT_ID_MAX 4095u

struct vh_seat {
    enum vh_seat_kind kind;
    unsigned id; /* the vCPU's index or libvirt's number of the IOThread, VH_SEAT_ID_MAX at most;
                    emulator: 0 */
};

/* Different for different seats: for tables. */
guint vh_seat_key(struct vh_seat seat);
struct vh_seat vh_seat_of_key(guint key);

/* What libvirt calls its pin: "vcpupin0", "emulatorpin", "iothreadpin1". g_free() it. */
char *vh_seat_pin_name(struct vh_seat seat);
/* Reads that; false: it is none. */
bool vh_seat_parse(const char *pin_name, struct vh_seat *seat);

/* For people: "vCPU 0", "emulator", "IOThread 1". g_free() it. */
char *vh_seat_text(struct vh_seat seat);
