// SPDX-License-Identifier: GPL-2.0-or-later
// Reads from a UNIX socket, and who has written that.
#include "qemu/speaker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "machine/tid.h"

struct VhSpeaker {
    struct vh_thread_id id;
    uint64_t since; /* when the connection was there */
};

VhSpeaker *vh_speaker_new(int fd)
{
    VhSpeaker *speaker = g_new0(VhSpeaker, 1);
    const int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        g_warning("SO_PASSCRED: %s", g_strerror(errno));
    speaker->since = vh_tid_now();
    return speaker;
}

void vh_speaker_free(VhSpeaker *speaker)
{
    g_free(speaker);
}

/* 0: the kernel does not say. */
static pid_t writer_of(struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    struct ucred who = {0};

    for (; header; header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS &&
            header->cmsg_len >= CMSG_LEN(sizeof(who)))
            memcpy(&who, CMSG_DATA(header), sizeof(who));
    return who.pid;
}

static int refuse(GError **error, const char *why)
{
    g_set_error(error, VH_ERROR, VH_ERROR_REFUSED, "%s", why);
    return -1;
}

/* What was written before the kernel was asked to say by whom is nobody's. */
static int meet(VhSpeaker *speaker, pid_t writer, GError **error)
{
    struct vh_thread_id id;

    if (writer == speaker->id.process)
        return 0;
    if (speaker->id.process)
        return refuse(error, "another process answers for the monitor than before");
    if (vh_tid_identify("/proc", writer, writer, &id) < 0)
        return refuse(error, "the process that answered for the monitor is gone");
    if (id.start > speaker->since)
        return refuse(error, "the process that answers for the monitor is younger than the "
                             "connection");
    speaker->id = id;
    return 0;
}

ssize_t vh_speaker_read(VhSpeaker *speaker, int fd, void *bytes, gsize size, GError **error)
{
    char control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8)));
    struct iovec vector = {bytes, size};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

    if (len < 0 && errno != EAGAIN && errno != EINTR)
        g_set_error_literal(error, VH_ERROR, VH_ERROR_FAILED, g_strerror(errno));
    if (len > 0 && meet(speaker, writer_of(&message), error) < 0)
        return -1;
    return len;
}

struct vh_thread_id vh_speaker_of(const VhSpeaker *speaker)
{
    return speaker->id;
}
