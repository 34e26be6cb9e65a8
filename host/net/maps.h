/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The dispatcher's maps (host-bpf/slot.h), which all its instances and all slots share.
 *
 * On the net thread. Pinned in a bpffs, they outlive this process: its successor finds what it has
 * left. Maps of another layout are a former version's: they are unpinned and made anew. */
#pragma once

#include <glib.h>

typedef struct VhNetMaps VhNetMaps;

/* `objects`: the folder of what host-bpf/ builds. `pins`: a folder in a bpffs, that is there; NULL:
 * nothing is pinned. Both are copied. NULL and VH_ERROR_FAILED. */
VhNetMaps *vh_net_maps_new(const char *objects, const char *pins,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Pins stay. NULL is fine. */
void vh_net_maps_free(VhNetMaps *maps);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhNetMaps, vh_net_maps_free)

/* Borrowed; -1: the dispatcher has none of that name. */
int vh_net_maps_fd(const VhNetMaps *maps, const char *name);
/* The path of an object; g_free() it. */
char *vh_net_maps_object(const VhNetMaps *maps, const char *name);
