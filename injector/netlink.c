// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the kernel by netlink(7).
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"

#define ANSWER_BYTES 65536 /* the kernel's largest part of a dump is half of that */

int vh_netlink_open(int protocol, uint32_t groups)
{
    vh_autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return -errno;
    return vh_take_fd(&fd);
}

/* One message of an answer. 1: it was the last. */
static int take_one(const struct nlmsghdr *message, vh_netlink_take take, void *data)
{
    int error = 0;

    if (message->nlmsg_flags & NLM_F_DUMP_INTR)
        return -EINTR;
    if (message->nlmsg_type == NLMSG_DONE)
        return 1;
    if (message->nlmsg_type == NLMSG_ERROR) {
        memcpy(&error, NLMSG_DATA(message), sizeof(error));
        return error ? error : 1;
    }
    error = take(data, message);
    return error ? error : !(message->nlmsg_flags & NLM_F_MULTI);
}

/* The kernel has put this together: its lengths can be trusted. */
static int take_all(char *bytes, ssize_t got, vh_netlink_take take, void *data)
{
    int done = 0;

    for (struct nlmsghdr *message = (void *)bytes; !done && NLMSG_OK(message, (size_t)got);
         message = NLMSG_NEXT(message, got))
        done = take_one(message, take, data);
    return done;
}

int vh_netlink_ask(int fd, const struct nlmsghdr *request, vh_netlink_take take, void *data)
{
    vh_autofree char *bytes = malloc(ANSWER_BYTES);
    int done = 0;

    if (!bytes)
        return -ENOMEM;
    if (send(fd, request, request->nlmsg_len, 0) < 0)
        return -errno;
    while (!done) {
        ssize_t got = recv(fd, bytes, ANSWER_BYTES, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got ? -errno : -EIO;
        done = take_all(bytes, got, take, data);
    }
    return done < 0 ? done : 0;
}

/* NULL: there is none of the type before the first that is cut off. */
static const struct nlattr *find(const char *at, const char *end, unsigned type)
{
    while (end - at >= NLA_HDRLEN) {
        const struct nlattr *attr = (const void *)at;

        if (attr->nla_len < NLA_HDRLEN || attr->nla_len > end - at)
            return NULL;
        if ((attr->nla_type & NLA_TYPE_MASK) == type)
            return attr;
        at += NLA_ALIGN(attr->nla_len);
    }
    return NULL;
}

const struct nlattr *vh_netlink_attr(const struct nlmsghdr *message, size_t skip, unsigned type)
{
    const char *start = (const char *)message;

    return find(start + NLMSG_SPACE(skip), start + message->nlmsg_len, type);
}

const struct nlattr *vh_netlink_within(const struct nlattr *outer, unsigned type)
{
    const char *start = (const char *)outer;

    return find(start + NLA_HDRLEN, start + outer->nla_len, type);
}
