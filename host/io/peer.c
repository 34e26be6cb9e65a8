// SPDX-License-Identifier: GPL-2.0-or-later
// Tells who is at the other end of a UNIX socket by what the kernel says, not by what the peer
// says.
#include "io/peer.h"

#include <errno.h>
#include <glib.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

int vh_peer_read(int socket_fd, struct vh_peer *peer)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        return -errno;

    /* The first call only asks how much there is: ERANGE then carries the length. */
    len = 0;
    g_autofree gid_t *groups = NULL;
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len)) {
        if (errno != ERANGE || len > VH_PEER_GROUPS_MAX * sizeof(gid_t))
            return -errno;
        groups = g_malloc(len);
        if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
            return -errno;
    }
    *peer = (struct vh_peer){.pid = cred.pid,
                             .uid = cred.uid,
                             .gid = cred.gid,
                             .group_count = (unsigned)(len / sizeof(gid_t)),
                             .groups = g_steal_pointer(&groups)};
    return 0;
}

void vh_peer_clear(struct vh_peer *peer)
{
    g_clear_pointer(&peer->groups, g_free);
    peer->group_count = 0;
}

bool vh_peer_allowed(const struct vh_peer *peer, uid_t own_uid, gid_t group)
{
    if (peer->uid == 0 || peer->uid == own_uid)
        return true;
    if (group == VH_PEER_NO_GROUP)
        return false;
    if (peer->gid == group)
        return true;
    for (unsigned i = 0; i < peer->group_count; i++)
        if (peer->groups[i] == group)
            return true;
    return false;
}

gid_t vh_peer_group_lookup(const char *name)
{
    char buffer[16384];
    struct group entry;
    struct group *found = NULL;
    if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) || found == NULL)
        return VH_PEER_NO_GROUP;
    return found->gr_gid;
}
