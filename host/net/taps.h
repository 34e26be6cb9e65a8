/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One tap of a guest's, with the dispatcher at its hooks.
 *
 * On the net thread. */
#pragma once

#include "net/maps.h"
#include "net/wish.h"

typedef struct VhTap VhTap;

/* `maps` is borrowed. Nothing is attached yet. */
VhTap *vh_tap_new(const VhNetMaps *maps, const char *pins, guint32 number,
                  const struct vh_nic *nic);
/* Leaves what is attached, for the next process; or takes it away. */
void vh_tap_free(VhTap *tap, bool leave);

const struct vh_nic *vh_tap_nic(const VhTap *tap);
/* Attaches at `hook` (egress or ingress) if it is `wanted`, and takes away if not. What is attached
 * already stays, unless the interface has gone meanwhile. `taken`: another guest has the tap. */
void vh_tap_hook(VhTap *tap, enum vh_hook hook, bool wanted, bool taken);
/* Is it attached to at `hook` by a link of ours on the interface with that index? */
bool vh_tap_holds(const VhTap *tap, enum vh_hook hook, unsigned interface);
/* Adds its hooks that are wanted. */
void vh_tap_describe(const VhTap *tap, VhNetState *state);
