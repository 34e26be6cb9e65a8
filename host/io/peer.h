/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is at the other end of a UNIX socket, and whether that one may command the daemon. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define VH_PEER_GROUP "vhint"        /* members may use the control socket */
#define VH_PEER_NO_GROUP ((gid_t)-1) /* this host has no such group */
#define VH_PEER_GROUPS_MAX 65536     /* NGROUPS_MAX of Linux */

/* As the kernel noted it when the peer called connect(2): later changes of identity do not count.
 */
struct vh_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary ones, vh_peer_clear frees them */
    unsigned group_count;
};

/* Reads SO_PEERCRED and SO_PEERGROUPS (unix(7), socket(7)). 0, or -errno with `*peer` untouched. */
int vh_peer_read(int socket_fd, struct vh_peer *peer);
void vh_peer_clear(struct vh_peer *peer);

/* Root, the daemon's own user, and members of `group` (primary or supplementary; VH_PEER_NO_GROUP:
 * none). */
bool vh_peer_allowed(const struct vh_peer *peer, uid_t own_uid, gid_t group);

/* The number of the group `name`, or VH_PEER_NO_GROUP. */
gid_t vh_peer_group_lookup(const char *name);
