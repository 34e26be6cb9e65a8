/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is shown of a guest itself: a copy, so that it can be put into words on another thread
 * (round/portrait.h). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/guest.h"
#include "wire.h"

/* What it goes by. Never changes, and is shared by all portraits of it. */
typedef struct vh_guest_names {
    char *name, *title, *uuid, *profile;
} VhGuestNames;

VhGuestNames *vh_guest_names_new(const struct vh_config_guest *config);
VhGuestNames *vh_guest_names_ref(VhGuestNames *names);
void vh_guest_names_unref(VhGuestNames *names);

typedef struct vh_guest_portrait {
    VhGuestNames *names;
    bool connected; /* what its injector says follows */
    uint8_t boot_id[16];
    char release[sizeof(((struct vh_hello *)NULL)->release)]; /* not looked at yet: any bytes */
    char agent[sizeof(((struct vh_hello *)NULL)->agent)];     /* likewise */
    unsigned programs, vcpus, facts;
    uint64_t hints, lost, refused;
    char *problem; /* NULL: none */
} VhGuestPortrait;

void vh_guest_portrait_clear(VhGuestPortrait *portrait);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VhGuestPortrait, vh_guest_portrait_clear)

bool vh_guest_portrait_equal(const VhGuestPortrait *a, const VhGuestPortrait *b);

/* In the words of org.vhint.Manager1.xml: ListGuests' dictionary, without "held". */
void vh_guest_portrait_describe(const VhGuestPortrait *portrait, GVariantDict *dict);
