// SPDX-License-Identifier: GPL-2.0-or-later
// Asks nf_tables for all that it has: netlink(7), NETLINK_NETFILTER.
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

#define TRIES 5
#define NAME_MAX_BYTES 256

struct request {
    struct nlmsghdr header;
    struct nfgenmsg general;
    char attrs[2 * (NLA_HDRLEN + NAME_MAX_BYTES)];
};

int vh_nft_open(void)
{
    return vh_netlink_open(NETLINK_NETFILTER, 0);
}

static struct request request_of(unsigned type, unsigned family, bool dump)
{
    return (struct request){
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
                   .nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0))},
        .general = {.nfgen_family = (uint8_t)family, .version = NFNETLINK_V0}};
}

static int add_name(struct request *request, unsigned type, const char *name)
{
    struct nlattr attr = {.nla_type = (uint16_t)type};
    size_t size = strnlen(name, NAME_MAX_BYTES) + 1;
    char *end = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

    if (size > NAME_MAX_BYTES)
        return -ENAMETOOLONG;
    attr.nla_len = (uint16_t)(NLA_HDRLEN + size);
    memcpy(end, &attr, sizeof(attr));
    memcpy(end + NLA_HDRLEN, name, size);
    request->header.nlmsg_len =
        (uint32_t)(end - (char *)request) + (uint32_t)NLA_ALIGN(attr.nla_len);
    return 0;
}

static int take_generation(void *data, const struct nlmsghdr *message)
{
    const struct nlattr *attr = vh_netlink_attr(message, sizeof(struct nfgenmsg), NFTA_GEN_ID);

    if (!attr || attr->nla_len != NLA_HDRLEN + sizeof(uint32_t))
        return -EPROTO;
    memcpy(data, (const char *)attr + NLA_HDRLEN, sizeof(uint32_t));
    return 0;
}

int vh_nft_generation(int fd, uint32_t *generation)
{
    struct request request = request_of(NFT_MSG_GETGEN, NFPROTO_UNSPEC, false);
    uint32_t id = 0;
    int error = vh_netlink_ask(fd, &request.header, take_generation, &id);

    if (!error)
        *generation = ntohl(id);
    return error;
}

static int append(void *data, const struct nlmsghdr *message)
{
    struct vh_nft_dump *dump = data;
    size_t size = NLMSG_ALIGN(message->nlmsg_len);

    if (dump->size + size > VH_NFT_DUMP_MAX)
        return -E2BIG;
    if (dump->size + size > dump->room) {
        size_t room = 2 * dump->room + size;
        uint8_t *bytes = realloc(dump->bytes, room);

        if (!bytes)
            return -ENOMEM;
        dump->bytes = bytes;
        dump->room = room;
    }
    memset(dump->bytes + dump->size + message->nlmsg_len, 0, size - message->nlmsg_len);
    memcpy(dump->bytes + dump->size, message, message->nlmsg_len);
    dump->size += size;
    return 0;
}

/* Elements are dumped set by set: of all that stand between `from` and `to` in the dump. */
static int dump_elems(int fd, struct vh_nft_dump *dump, size_t from, size_t to)
{
    int error = 0;

    for (size_t at = from; at < to && !error;) {
        /* Not a pointer into the dump: that moves while it grows. */
        const struct nlmsghdr *set = (const void *)(dump->bytes + at);
        const struct nfgenmsg *general = NLMSG_DATA(set);
        const struct nlattr *table = vh_netlink_attr(set, sizeof(struct nfgenmsg), NFTA_SET_TABLE);
        const struct nlattr *name = vh_netlink_attr(set, sizeof(struct nfgenmsg), NFTA_SET_NAME);
        struct request request = request_of(NFT_MSG_GETSETELEM, general->nfgen_family, true);

        if (!table || !name)
            return -EPROTO;
        error = add_name(&request, NFTA_SET_ELEM_LIST_TABLE, (const char *)table + NLA_HDRLEN);
        if (!error)
            error = add_name(&request, NFTA_SET_ELEM_LIST_SET, (const char *)name + NLA_HDRLEN);
        at += NLMSG_ALIGN(set->nlmsg_len);
        if (!error)
            error = vh_netlink_ask(fd, &request.header, append, dump);
    }
    return error;
}

static int dump_type(int fd, unsigned type, struct vh_nft_dump *dump)
{
    struct request request = request_of(type, NFPROTO_UNSPEC, true);

    return vh_netlink_ask(fd, &request.header, append, dump);
}

static int dump_once(int fd, struct vh_nft_dump *dump)
{
    static const unsigned after[] = {NFT_MSG_GETRULE, NFT_MSG_GETOBJ, NFT_MSG_GETFLOWTABLE};
    size_t sets = 0;
    int error = dump_type(fd, NFT_MSG_GETTABLE, dump);

    if (!error)
        error = dump_type(fd, NFT_MSG_GETCHAIN, dump);
    sets = dump->size;
    if (!error)
        error = dump_type(fd, NFT_MSG_GETSET, dump);
    if (!error)
        error = dump_elems(fd, dump, sets, dump->size);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]) && !error; i++)
        error = dump_type(fd, after[i], dump);
    return error;
}

/* What is still on its way is of a dump that was given up. */
static void drain(int fd)
{
    char bytes[4096];

    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

int vh_nft_dump(int fd, struct vh_nft_dump *dump)
{
    int error = -EAGAIN;

    for (int i = 0; i < TRIES; i++) {
        uint32_t before = 0;
        uint32_t after = 0;

        dump->size = 0;
        error = vh_nft_generation(fd, &before);
        if (!error)
            error = dump_once(fd, dump);
        if (!error)
            error = vh_nft_generation(fd, &after);
        if (!error && before == after) {
            dump->generation = after;
            return 0;
        }
        /* A set may be gone that was there a moment ago. */
        if (error && error != -EINTR && error != -ENOENT)
            return error;
        drain(fd);
    }
    return -EAGAIN;
}

void vh_nft_dump_free(struct vh_nft_dump *dump)
{
    free(dump->bytes);
    *dump = (struct vh_nft_dump){0};
}
