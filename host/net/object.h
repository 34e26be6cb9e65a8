/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One BPF object for the host's kernel: the dispatcher, or a slot's.
 *
 * On the net thread. The order is: open; what is to be set (constants, sizes of maps, which
 * programs); load, once; program. */
#pragma once

#include <bpf/libbpf.h>
#include <glib.h>

#include "net/maps.h"
#include "offload.h"

typedef struct VhNetObject VhNetObject;

/* NAME.bpf.o, with the dispatcher's maps in the place of its own of the same names. `maps` is
 * borrowed until load. NULL and VH_ERROR_FAILED. */
VhNetObject *vh_net_object_open(const VhNetMaps *maps, const char *name,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What no map or link holds is gone. NULL is fine. */
void vh_net_object_free(VhNetObject *object);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhNetObject, vh_net_object_free)

/* libbpf's, borrowed: for what is to be set before load, and for its maps. */
struct bpf_object *vh_net_object_bpf(VhNetObject *object);
/* Sets the constant (const volatile) of this name and size; it must be there. Before load. */
void vh_net_object_set(VhNetObject *object, const char *name, gconstpointer value, gsize size);
/* The kernel verifies and takes it. 0, or -1 and VH_ERROR_FAILED, with the verifier's last words.
 */
int vh_net_object_load(VhNetObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The program for a hook, borrowed; -1: it has none. After load. */
int vh_net_object_program(const VhNetObject *object, enum vh_hook hook);

/* "uplink", "egress", "ingress": what hooks, the programs at them and the maps of slots are called.
 */
extern const char *const vh_hook_names[VH_HOOKS];
