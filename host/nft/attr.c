// SPDX-License-Identifier: GPL-2.0-or-later
// Reads netlink's framing: headers, lengths, padding.
#include "nft/attr.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

static gsize padded(gsize len)
{
    return (len + 3) & ~(gsize)3;
}

/* Takes `len` bytes and their padding; the padding may be missing at the very end. */
static struct vh_nft_bytes take(struct vh_nft_bytes *rest, gsize len)
{
    struct vh_nft_bytes taken = {rest->data, len};
    gsize step = MIN(padded(len), rest->len);

    g_assert(len <= rest->len);
    rest->data += step;
    rest->len -= step;
    return taken;
}

int vh_nft_message_next(struct vh_nft_bytes *rest, struct vh_nft_message *message)
{
    while (rest->len) {
        struct nlmsghdr header;
        struct nfgenmsg general;
        struct vh_nft_bytes whole;

        if (rest->len < sizeof(header))
            return -1;
        memcpy(&header, rest->data, sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest->len)
            return -1;
        whole = take(rest, header.nlmsg_len);
        if (header.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
            continue;
        if (whole.len < sizeof(header) + sizeof(general))
            return -1;
        memcpy(&general, whole.data + sizeof(header), sizeof(general));
        *message = (struct vh_nft_message){
            .type = (uint8_t)(header.nlmsg_type & 0xff),
            .family = general.nfgen_family,
            .attrs = {whole.data + sizeof(header) + sizeof(general),
                      whole.len - sizeof(header) - sizeof(general)},
        };
        return 1;
    }
    return 0;
}

int vh_nft_attr_next(struct vh_nft_bytes *rest, struct vh_nft_attr *attr)
{
    struct nlattr header;
    struct vh_nft_bytes whole;

    if (!rest->len)
        return 0;
    if (rest->len < sizeof(header))
        return -1;
    memcpy(&header, rest->data, sizeof(header));
    if (header.nla_len < sizeof(header) || header.nla_len > rest->len)
        return -1;
    whole = take(rest, header.nla_len);
    attr->type = header.nla_type & NLA_TYPE_MASK;
    attr->value = (struct vh_nft_bytes){whole.data + sizeof(header), whole.len - sizeof(header)};
    return 1;
}

int vh_nft_attrs_read(struct vh_nft_bytes bytes, unsigned max, struct vh_nft_attrs *attrs)
{
    struct vh_nft_attr attr;
    int got = 0;

    g_assert(max < VH_NFT_ATTRS);
    memset(attrs, 0, sizeof(*attrs));
    while ((got = vh_nft_attr_next(&bytes, &attr)) > 0) {
        if (attr.type > max || attrs->at[attr.type].data)
            attrs->beyond = true;
        else
            attrs->at[attr.type] = attr.value;
    }
    return got;
}

int vh_nft_u32(struct vh_nft_bytes bytes, uint32_t *value)
{
    if (!bytes.data || bytes.len != sizeof(*value))
        return -1;
    memcpy(value, bytes.data, sizeof(*value));
    *value = GUINT32_FROM_BE(*value);
    return 0;
}

const char *vh_nft_text(struct vh_nft_bytes bytes, gsize max)
{
    const uint8_t *end = bytes.data ? memchr(bytes.data, 0, bytes.len) : NULL;

    if (!end || (gsize)(end - bytes.data) > max)
        return NULL;
    for (const uint8_t *p = bytes.data; p < end; p++) {
        if (!g_ascii_isprint((char)*p))
            return NULL;
    }
    return (const char *)bytes.data;
}
