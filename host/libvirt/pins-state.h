/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a VhVirtPins, for pins.c and pins-tell.c only. */
#pragma once

#include "libvirt/pins.h"

struct vh_virt_pin {
    struct vh_seat seat;
    bool ours; /* wanted: pinned to `cpus` by us */
    struct vh_cpuset cpus;
    bool told; /* libvirt knows our pin `told_cpus`; its own former one is `former` */
    struct vh_cpuset told_cpus;
    struct vh_cpuset former;
    bool foreign; /* left to others */
    bool restore; /* libvirt is to be told `former` first of all, although it may have been told
                     already: a call of ours has come after theirs, or to the wrong instance */
};

struct VhVirtPins {
    gint refs; /* the owner's, and a job's; main loop only */
    VhVirt *virt;
    VhVirtTold *told;
    char *uuid;
    int id; /* of the instance */
    char *record;
    const struct vh_virt_pins_funcs *funcs;
    gpointer data;
    char *carried;          /* what the domain's metadata has of the record; "": nothing */
    GHashTable *pins;       /* vh_seat_key -> struct vh_virt_pin */
    struct vh_cpuset all;   /* host CPUs that are online */
    struct vh_cpuset usual; /* <vcpu cpuset>, else `all` */
    bool automatic;         /* numad has chosen what is usual, and nobody tells what that is */
    bool going;             /* it runs */
    bool busy;
    bool closed;
};

/* NULL: nothing is known of the seat. */
struct vh_virt_pin *vh_virt_pins_find(const VhVirtPins *pins, struct vh_seat seat);
/* Never NULL: a seat of which nothing was known has what is usual. */
struct vh_virt_pin *vh_virt_pins_at(VhVirtPins *pins, struct vh_seat seat);
/* Ends one reference. */
void vh_virt_pins_unref(VhVirtPins *pins);

/* ---- pins-tell.c ---- */

/* Begins a job if there is anything to tell and none is under way. */
void vh_virt_pins_tell(VhVirtPins *pins);
