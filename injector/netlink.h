/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions to the kernel by netlink(7), one at a time, and their answers. */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/* A blocking descriptor, which hears of `groups`, or -errno. */
int vh_netlink_open(int protocol, uint32_t groups);

/* Takes one message of an answer. 0 or -errno, which ends it. */
typedef int (*vh_netlink_take)(void *data, const struct nlmsghdr *message);

/* Sends a request and hands over the messages of its answer. 0 or -errno: -EINTR if what was dumped
 * changed meanwhile. */
int vh_netlink_ask(int fd, const struct nlmsghdr *request, vh_netlink_take take, void *data);

/* An attribute behind the `skip` bytes that a kind of messages begins with, or within another one;
 * NULL: there is none. */
const struct nlattr *vh_netlink_attr(const struct nlmsghdr *message, size_t skip, unsigned type);
const struct nlattr *vh_netlink_within(const struct nlattr *outer, unsigned type);
