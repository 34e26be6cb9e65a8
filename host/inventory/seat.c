// SPDX-License-Identifier: GPL-2.0-or-later
// Names seats.
#include "inventory/seat.h"

#include <string.h>

static const struct {
    const char *pin;
    const char *text;
    bool numbered;
} names[] = {
    [VH_SEAT_VCPU] = {"vcpupin", "vCPU", true},
    [VH_SEAT_EMULATOR] = {"emulatorpin", "emulator", false},
    [VH_SEAT_IOTHREAD] = {"iothreadpin", "IOThread", true},
};
G_STATIC_ASSERT(G_N_ELEMENTS(names) == VH_SEAT_KINDS);

guint vh_seat_key(struct vh_seat seat)
{
    return seat.id * VH_SEAT_KINDS + (guint)seat.kind;
}

struct vh_seat vh_seat_of_key(guint key)
{
    return (struct vh_seat){(enum vh_seat_kind)(key % VH_SEAT_KINDS), key / VH_SEAT_KINDS};
}

char *vh_seat_pin_name(struct vh_seat seat)
{
    return names[seat.kind].numbered ? g_strdup_printf("%s%u", names[seat.kind].pin, seat.id)
                                     : g_strdup(names[seat.kind].pin);
}

bool vh_seat_parse(const char *pin_name, struct vh_seat *seat)
{
    for (enum vh_seat_kind kind = 0; kind < VH_SEAT_KINDS; kind++) {
        guint64 id = 0;
        const char *rest = pin_name + strlen(names[kind].pin);

        if (!g_str_has_prefix(pin_name, names[kind].pin) ||
            (names[kind].numbered
                 ? !g_ascii_string_to_unsigned(rest, 10, 0, VH_SEAT_ID_MAX, &id, NULL)
                 : *rest))
            continue;
        *seat = (struct vh_seat){.kind = kind, .id = (unsigned)id};
        return true;
    }
    return false;
}

char *vh_seat_text(struct vh_seat seat)
{
    return names[seat.kind].numbered ? g_strdup_printf("%s %u", names[seat.kind].text, seat.id)
                                     : g_strdup(names[seat.kind].text);
}
