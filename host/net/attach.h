/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches a program to a hook of an interface, and takes it away.
 *
 * On the net thread. An uplink's hook, XDP, has one owner: where it is somebody else's, it is
 * refused. A tap's hooks have many, who all see what nobody has dropped: a tcx link where the
 * kernel has those (6.6), else a filter of the clsact qdisc. A link that is pinned outlives this
 * process; a filter does so anyway. Sources: BPF_LINK_CREATE in bpf(2), tc-bpf(8). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "offload.h"

typedef struct VhAttach VhAttach;

enum vh_attach_mode {
    VH_ATTACH_NATIVE,  /* XDP by the interface's driver */
    VH_ATTACH_GENERIC, /* XDP by the kernel, after it has made an skb of the packet: slower */
    VH_ATTACH_TCX,
    VH_ATTACH_CLSACT,
    VH_ATTACH_MODES
};
/* "native", "generic", "tcx", "clsact". */
extern const char *const vh_attach_modes[VH_ATTACH_MODES];

struct vh_attach_place {
    enum vh_hook hook;
    unsigned interface; /* its index */
    const char *name;   /* of the interface, for messages */
    const char *pin;    /* where its link is pinned, in a bpffs; NULL: it is not */
    bool filter;        /* use a clsact filter even if there are links */
};

/* Attaches `program` (borrowed). What was pinned there by a former process for this very interface
 * is taken over, and `program` takes the place of its program at once; anything else that was
 * pinned there is unpinned. NULL and VH_ERROR_BUSY: the hook is somebody else's; or
 * VH_ERROR_FAILED. */
VhAttach *vh_attach_new(const struct vh_attach_place *place, int program,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same at the interface of this name, pinned in `pins` (NULL: not). VH_ERROR_REFUSED: there is
 * none. */
VhAttach *vh_attach_named(enum vh_hook hook, const char *name, const char *pins, int program,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads what such a pin is called. False: it is none. */
bool vh_attach_read_pin(const char *pin, enum vh_hook *hook, unsigned *interface);
/* The program is gone from the hook. NULL is fine. */
void vh_attach_end(VhAttach *attach);
/* It stays, as long as it is pinned or a filter: for the next process. NULL is fine. */
void vh_attach_leave(VhAttach *attach);

enum vh_attach_mode vh_attach_mode(const VhAttach *attach);
unsigned vh_attach_interface(const VhAttach *attach);
/* Was it found, as a former process has left it? */
bool vh_attach_was_found(const VhAttach *attach);
/* Is it still where it was attached? An interface that is gone takes it along. */
bool vh_attach_stands(const VhAttach *attach);
