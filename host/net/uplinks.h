/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The uplinks, each with the dispatcher's program, and the MACs that it knows guests by.
 *
 * On the net thread. An uplink is attached to while a guest needs it. A MAC that two guests have is
 * nobody's: their packets could not be told apart. */
#pragma once

#include "net/attach.h"
#include "net/maps.h"

typedef struct VhUplinks VhUplinks;

/* `maps` and `pins` (NULL: none) are borrowed. */
VhUplinks *vh_uplinks_new(const VhNetMaps *maps, const char *pins);
/* Leaves all as it is, for the next process; or takes it away. */
void vh_uplinks_free(VhUplinks *uplinks, bool leave);

/* Guest `number` needs `uplink` from now on. 0, or -1 and VH_ERROR_BUSY, VH_ERROR_REFUSED or
 * VH_ERROR_FAILED; then it does not. */
int vh_uplinks_need(VhUplinks *uplinks, guint32 number, const char *uplink,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* It needs none, and none of its MACs is known any longer. */
void vh_uplinks_drop(VhUplinks *uplinks, guint32 number);
/* Is it attached to the interface with that index? */
bool vh_uplinks_holds(const VhUplinks *uplinks, unsigned interface);
/* Is one that is needed still there? `*mode` is how it is attached to. */
bool vh_uplinks_stands(const VhUplinks *uplinks, const char *uplink, enum vh_attach_mode *mode);

/* Guest `number` has this MAC, with this tag: packets to it are its own from now on, unless another
 * guest has the same MAC. Then they are neither's. 0, or -1 and VH_ERROR_FAILED. */
int vh_uplinks_claim(VhUplinks *uplinks, guint32 number, const struct vh_mac *mac,
                     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Which of its MACs another guest has, too, in words; NULL: none. g_free() it. */
char *vh_uplinks_shared(const VhUplinks *uplinks, guint32 number);
