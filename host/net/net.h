/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offloads: the net thread, as the hint thread sees it.
 *
 * Theory of operation. What takes its time (netlink, bpf(2), the verifier) happens on the net
 * thread. The hint thread hands over wishes and gets states back, by errands (io/errands.h). Two
 * things it does itself, at once, in a page that the dispatcher reads:
 *
 *  1. A guest's slots see packets only until its lease ends. Whoever knows that an offload is still
 *     right renews it, again and again; so an offload of a vhintd that is dead, or stuck, ends by
 *     itself.
 *  2. A guest that is stopped, or whose slots are to be others, has no lease from that moment until
 *     the net thread has told that the last wish has been carried out.
 *
 * So nothing that was is in force longer than what it came from, however busy the net thread is. */
#pragma once

#include "net/slot.h"
#include "net/wish.h"

typedef struct VhNet VhNet;

struct vh_net_place {
    const char *objects; /* the folder of what host-bpf/ builds */
    const char *pins;    /* a folder in a bpffs, made if need be; NULL: nothing outlives us */
    const struct vh_slot_kind *const *kinds; /* VH_STAGES of them, NULL where there is none */
};

/* `state` (the callee's): of a guest that is wanted still, after each wish and each look. */
typedef void (*VhNetTold)(VhNetState *state, gpointer data);

/* Makes or takes over the dispatcher's maps, and starts the thread. All is borrowed. NULL and
 * VH_ERROR_FAILED. */
VhNet *vh_net_new(const struct vh_net_place *place, VhNetTold told, gpointer data,
                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes all away, or leaves it for the next vhintd. Waits for the thread. NULL is fine. */
void vh_net_free(VhNet *net, bool leave);

/* From now on the guest has what `wish` (taken over) says. Its lease ends if what it wants is
 * something else than before. false: there are VH_NET_GUESTS already, and nothing is done. */
bool vh_net_want(VhNet *net, VhNetWish *wish);
/* It has nothing, at once. One that has nothing is fine. */
void vh_net_stop(VhNet *net, const char *guest);
/* Its slots see packets until then (g_get_monotonic_time), if they are as it wants them. Returns
 * whether they are. */
bool vh_net_renew(VhNet *net, const char *guest, gint64 until);
/* Asks for its state. */
void vh_net_look(VhNet *net, const char *guest);

/* All that a former vhintd has left has been wanted or stopped: what it attached elsewhere goes,
 * too. */
void vh_net_tidy(VhNet *net);

/* The guests of which a former vhintd has left something that nobody has wanted or stopped yet, as
 * a strv. g_strfreev() it. */
char **vh_net_left(const VhNet *net);
