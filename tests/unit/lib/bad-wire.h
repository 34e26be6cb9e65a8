/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A wire between two taps that loses, doubles, delays and so reorders frames. */
#pragma once

#include <glib.h>

struct wire_faults {
    guint lost;    /* of 10,000 frames */
    guint doubled; /* the same */
    guint delayed; /* of 100 frames */
    guint most;    /* us of delay */
};

typedef struct Wire Wire;

/* A tap of this name in the network namespace of the calling thread. */
int wire_tap(const char *name);
/* Carries frames between the taps `one` and `other` (taken over), on a thread of its own. */
Wire *wire_new(int one, int other, const struct wire_faults *faults);
void wire_free(Wire *wire);
