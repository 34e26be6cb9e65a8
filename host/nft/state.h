/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the reader tell one another. */
#pragma once

#include "nft/model.h"

typedef struct {
    VhNftRules *rules;
    GHashTable *tables; /* "FAMILY TABLE" */
    GHashTable *chains; /* "FAMILY TABLE NAME", as sets and flags */
    GHashTable *sets;
    uint8_t family; /* of the message at hand, and the table that it belongs to */
    const struct vh_nft_table *table;
    const char *wrong; /* what is wrong with it */
} VhNftReader;

/* Return 0, or -1 with `wrong` set. */
int vh_nft_read_expr(VhNftReader *reader, struct vh_nft_bytes bytes, struct vh_nft_expr *expr);
int vh_nft_read_set(VhNftReader *reader, struct vh_nft_bytes attrs);
int vh_nft_read_elems(VhNftReader *reader, struct vh_nft_bytes attrs);
int vh_nft_read_verdict(VhNftReader *reader, struct vh_nft_bytes bytes,
                        struct vh_nft_verdict *verdict);

/* The data of an immediate or an element: a value of at most VH_NFT_DATA_MAX bytes, or a verdict,
 * which `is_verdict` tells. */
int vh_nft_read_data(VhNftReader *reader, struct vh_nft_bytes bytes, struct vh_nft_bytes *data,
                     struct vh_nft_verdict *verdict, bool *is_verdict);

int vh_nft_wrong(VhNftReader *reader, const char *what);

/* The name of something in the table at hand, as a key of the reader's tables; owned by the caller.
 */
char *vh_nft_key(const VhNftReader *reader, const char *name);

/* Notes the table that `bytes` names as the one at hand. */
int vh_nft_enter(VhNftReader *reader, struct vh_nft_bytes bytes);
