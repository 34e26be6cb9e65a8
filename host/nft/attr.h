/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one reader of netlink messages and attributes that a guest wrote: no length is believed.
 *
 * Everything points into the bytes it is read from, and lives as long as these. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct vh_nft_bytes {
    const uint8_t *data;
    gsize len;
};

struct vh_nft_message {
    uint8_t type; /* NFT_MSG_* */
    uint8_t family;
    struct vh_nft_bytes attrs;
};

/* Takes the next message of nf_tables off `rest`; one of another kind is passed over. Returns 1, 0
 * at the end, -1 if the rest is no message. */
int vh_nft_message_next(struct vh_nft_bytes *rest, struct vh_nft_message *message);

struct vh_nft_attr {
    unsigned type;
    struct vh_nft_bytes value;
};

/* Takes the next attribute off `rest`. Returns 1, 0 at the end, -1 if the rest is none. */
int vh_nft_attr_next(struct vh_nft_bytes *rest, struct vh_nft_attr *attr);

/* The attributes of one level by their type; `data` is NULL where there is none. */
#define VH_NFT_ATTRS 32
struct vh_nft_attrs {
    struct vh_nft_bytes at[VH_NFT_ATTRS];
    bool beyond; /* there is one whose type is above `max`, or one type twice */
};

/* Returns 0, or -1 if these are not attributes. `max` is the highest type that is known. */
int vh_nft_attrs_read(struct vh_nft_bytes bytes, unsigned max, struct vh_nft_attrs *attrs);

/* Numbers come in network order. NULL or a wrong size: -1, and `value` is untouched. */
int vh_nft_u32(struct vh_nft_bytes bytes, uint32_t *value);

/* The text, if it ends within the bytes, is at most `max` bytes long and can be printed; else NULL.
 */
const char *vh_nft_text(struct vh_nft_bytes bytes, gsize max);
