// SPDX-License-Identifier: GPL-2.0-or-later
// The pins of one domain, by seat.
#include "libvirt/pins-state.h"

struct vh_virt_pin *vh_virt_pins_find(const VhVirtPins *pins, struct vh_seat seat)
{
    return g_hash_table_lookup(pins->pins, GUINT_TO_POINTER(vh_seat_key(seat)));
}

struct vh_virt_pin *vh_virt_pins_at(VhVirtPins *pins, struct vh_seat seat)
{
    struct vh_virt_pin *pin = vh_virt_pins_find(pins, seat);

    if (pin)
        return pin;
    pin = g_new0(struct vh_virt_pin, 1);
    pin->seat = seat;
    pin->former = pins->usual;
    g_hash_table_insert(pins->pins, GUINT_TO_POINTER(vh_seat_key(seat)), pin);
    return pin;
}

void vh_virt_pins_unref(VhVirtPins *pins)
{
    if (--pins->refs)
        return;
    g_hash_table_unref(pins->pins);
    g_free(pins->uuid);
    g_free(pins->record);
    g_free(pins->carried);
    g_free(pins);
}
