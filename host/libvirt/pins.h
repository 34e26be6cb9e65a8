/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps what libvirt says of one domain's pins (`virsh vcpupin`, `emulatorpin`, `iothreadpin`,
 * live) truthful, and tells our pins from others'.
 *
 * The fast actuator has acted already when this one is told; libvirt is told later, by jobs that
 * carry only what is wanted when they run. libvirt announces every pin it sets: one that is not
 * ours is its administrator's, whoever that is, and from then on that seat is left to him. What we
 * change is noted in a file first (libvirt's former pin and ours), so that the next daemon knows
 * which pins were ours and puts the former ones back.
 *
 * A pin to every host CPU, or to what the domain's <vcpu cpuset> says, is as good as none. Source:
 * libvirt's virDomainPinVcpuFlags, virDomainPinEmulator, virDomainPinIOThread,
 * VIR_DOMAIN_EVENT_ID_TUNABLE. */
#pragma once

#include "base/cpuset.h"
#include "inventory/seat.h"
#include "libvirt/told.h"
#include "libvirt/virt.h"
#include "libvirt/xml.h"

typedef struct VhVirtPins VhVirtPins;

struct vh_virt_pins_funcs {
    /* `seat` is now pinned to `cpus` (list format, borrowed) by somebody else; NULL: not any
     * longer. May be called for a seat again. */
    void (*foreign)(struct vh_seat seat, const char *cpus, gpointer data);
    /* libvirt has done what it was told: the thread's control group may have changed with it. */
    void (*synced)(gpointer data);
    /* It has set a mask that it was told of before another one was wanted, which the thread had
     * already. */
    void (*outdated)(gpointer data);
};

/* For the instance that `xml` (borrowed) describes. `virt` and `told` are to outlive it, and what
 * it has under way; `told` is the same for all. `record` is the file. Reads it; forgets one of
 * another instance. `foreign` is called at once for pins in `xml` that are not ours. `funcs`
 * (static) has all of them. */
VhVirtPins *vh_virt_pins_new(VhVirt *virt, VhVirtTold *told, const struct vh_domain *xml,
                             const char *record, const struct vh_virt_pins_funcs *funcs,
                             gpointer data);
/* The domain runs: libvirt can be told from now on. While it starts, calls about it wait for up to
 * half a minute, and then fail. */
void vh_virt_pins_go(VhVirtPins *pins);
/* Tells libvirt nothing. `gone`: the domain has stopped, and the record goes with it. */
void vh_virt_pins_free(VhVirtPins *pins, bool gone);

/* The seat is pinned to `cpus` (copied) by us; NULL: not by us. Cheap when nothing has changed. */
void vh_virt_pins_set(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus);

/* Has libvirt done all that it is to be told of the seat? Else it may set the mask yet. */
bool vh_virt_pins_settled(const VhVirtPins *pins, struct vh_seat seat);

/* libvirt has announced a pin. */
void vh_virt_pins_announced(VhVirtPins *pins, struct vh_seat seat, const struct vh_cpuset *cpus);

/* No seat is pinned by us: libvirt is to have its former pins. */
void vh_virt_pins_set_none(VhVirtPins *pins);

/* Seats that were left to others are ours again. */
void vh_virt_pins_retake(VhVirtPins *pins);
