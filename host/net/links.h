/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's network interfaces, as the kernel tells (rtnetlink(7)), and how what comes in at an
 * uplink gets to a tap.
 *
 * Where it asks the kernel: on the net thread. vh_links_path is pure. */
#pragma once

#include <glib.h>
#include <net/if.h>
#include <stdbool.h>

struct vh_link_facts {
    unsigned index;
    char name[IFNAMSIZ];
    char kind[16];      /* "bridge", "vlan", "tun", "veth"; "": a device of its own */
    unsigned master;    /* the bridge that it is a port of; 0: none */
    unsigned lower;     /* of a VLAN's: the interface below; 0: none */
    guint16 vlan;       /* of a VLAN's */
    bool filters;       /* of a bridge: by VLAN */
    guint16 pvid;       /* of a port: the VLAN of what comes untagged; 0: none */
    bool pvid_untagged; /* and goes untagged */
};

/* struct vh_link_facts each; NULL and VH_ERROR_FAILED. */
GArray *vh_links_read(GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL: there is none such. */
const struct vh_link_facts *vh_links_find(const GArray *links, const char *name);

/* Do packets for the guest behind `tap` come in at `uplink`? Then `*vlan` is the tag that they have
 * there, 0: none. 0; or -1 and VH_ERROR_REFUSED, which says why they do not, or why that cannot be
 * told. */
int vh_links_path(const GArray *links, const char *uplink, const char *tap, guint16 *vlan,
                  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Does the interface take tags off packets before XDP sees them? Then who they are for cannot be
 * told. Source: ethtool's rx-vlan-hw-parse (ETHTOOL_GFLAGS). */
bool vh_links_hides_tags(const char *name);
