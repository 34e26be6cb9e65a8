/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* A network of a test's own: a veth pair client-uplink, whose one end is a port of a bridge, as is
 * a tap, whose other end the test has in the guest's stead; and a bpffs.
 *
 *     client ---- uplink == bridge == tap ---- (the test) */

struct net_stage {
    char *pins; /* a folder in a bpffs */
    int client; /* a packet socket at the client's end */
    int tap;    /* the guest's end; -1: it has been closed */
};

#define NET_STAGE_UPLINK "uplink0"
#define NET_STAGE_TAP "tap0"
#define NET_STAGE_BRIDGE "bridge0"

/* NULL: there can be none, and the test has been told to skip. Once a process. */
struct net_stage *net_stage_new(void);
/* The same before all tests: without it, a test of this name stands in for them, and is skipped. */
struct net_stage *net_stage_begin(const char *test);
void net_stage_free(struct net_stage *stage);

/* Runs a command line in it, which must succeed. */
void net_stage_run(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The same, but a kernel may be without it. */
bool net_stage_can(const char *line);

/* An IPv4 and UDP packet for the guest's MAC whose payload begins with `command`; in a VLAN unless
 * that is negative. From the client, or from the guest. */
void net_stage_send(struct net_stage *stage, int vlan, char command);
void net_stage_reply(struct net_stage *stage, char command);
/* The commands that come to the guest until one is `last`, in order. g_free() them. */
char *net_stage_until(struct net_stage *stage, char last);
/* The same of what comes back to the client. */
char *net_stage_back_until(struct net_stage *stage, char last);

extern const guint8 net_stage_mac[6];
