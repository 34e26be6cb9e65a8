/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of a guest as its kernel has them, as a value: tables, chains, rules, sets, elements.
 *
 * The source is a dump of nf_tables by netlink (linux/netfilter/nf_tables.h): the messages
 * NEWTABLE, NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM, NEWOBJ and NEWFLOWTABLE, one after the other. A
 * guest wrote it. So it is read with bounds and budgets, and what is not understood is said to be
 * unknown: an expression of a kind or with an attribute that is not known here is VH_NFT_UNKNOWN.
 *
 * Texts and data point into the dump, which the model keeps. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "nft/attr.h"

#define VH_NFT_BYTES_MAX ((gsize)16 << 20)
#define VH_NFT_TABLES_MAX 256
#define VH_NFT_CHAINS_MAX 4096
#define VH_NFT_RULES_MAX 20000
#define VH_NFT_EXPRS_MAX 128 /* of one rule; the kernel's own limit */
#define VH_NFT_SETS_MAX 4096
#define VH_NFT_ELEMS_MAX 262144 /* of all sets */
#define VH_NFT_DEVICES_MAX 64   /* of one chain */
#define VH_NFT_FIELDS_MAX 16    /* of one set's keys */
#define VH_NFT_DATA_MAX 64      /* bytes, of one value */
#define VH_NFT_NAME_MAX 255
#define VH_NFT_REGISTERS 64 /* bytes */

enum vh_nft_expr_kind {
    VH_NFT_UNKNOWN,
    VH_NFT_PAYLOAD,   /* dreg := len bytes at base, offset */
    VH_NFT_META,      /* dreg := meta key */
    VH_NFT_CT,        /* dreg := conntrack's key */
    VH_NFT_EXTHDR,    /* dreg := of an extension header */
    VH_NFT_FIB,       /* dreg := of the routing table */
    VH_NFT_LOAD,      /* something else is loaded into dreg, or the rule does not match */
    VH_NFT_IMMEDIATE, /* dreg := data */
    VH_NFT_BITWISE,   /* dreg := sreg & data ^ data2 */
    VH_NFT_BYTEORDER, /* dreg := swapped sreg */
    VH_NFT_CMP,       /* goes on if sreg op data */
    VH_NFT_RANGE,     /* goes on if sreg is, or op is not, within data and data2 */
    VH_NFT_LOOKUP,    /* goes on if sreg is in the set; dreg := what the map has */
    VH_NFT_MATCH,     /* goes on if the xtables match `text` says so; data is its structure */
    VH_NFT_VERDICT,   /* ends the rule */
    VH_NFT_COUNTER,   /* counts, and nothing hangs on it */
    VH_NFT_SETTER,    /* changes what the packet carries beside its bytes: `name` and key */
    VH_NFT_EFFECT,    /* does something that others can tell: log, limit, reject, ... */
    VH_NFT_EXPR_KINDS
};

struct vh_nft_chain;
struct vh_nft_set;

struct vh_nft_verdict {
    int32_t code; /* NF_DROP, NF_ACCEPT or NFT_* */
    const char *chain_name;
    struct vh_nft_chain *chain; /* of a jump or goto; never NULL then */
};

#define VH_NFT_NO_REGISTER 0xff

/* Registers are given as offsets in bytes into the 64 that a rule has. */
struct vh_nft_expr {
    enum vh_nft_expr_kind kind;
    const char *name; /* the kernel's */
    uint8_t sreg;
    uint8_t dreg;
    uint8_t len;    /* bytes that are loaded, or changed in place */
    uint32_t key;   /* of meta, ct; base of a payload; op of a cmp, range, byteorder, exthdr; result
                       of a fib */
    uint32_t extra; /* offset of a payload; flags of an exthdr, lookup, fib; size of a byteorder;
                       revision of a match */
    struct vh_nft_bytes data;
    struct vh_nft_bytes data2;
    const char *text; /* a match's, a set's or an object's name */
    struct vh_nft_set *set;
    struct vh_nft_verdict verdict;
};

struct vh_nft_rule {
    uint64_t handle;
    struct vh_nft_chain *chain;
    GArray *exprs; /* struct vh_nft_expr */
};

enum vh_nft_chain_type { VH_NFT_FILTER, VH_NFT_NAT, VH_NFT_ROUTE, VH_NFT_OTHER };

struct vh_nft_table {
    uint8_t family; /* NFPROTO_* */
    const char *name;
    bool dormant;
};

struct vh_nft_chain {
    const struct vh_nft_table *table;
    const char *name;
    bool base;
    uint32_t hook;
    int32_t priority;
    enum vh_nft_chain_type type;
    bool drops; /* the policy */
    GPtrArray
        *devices;     /* char *, of netdev and of inet's ingress; one that ends in * is a prefix */
    GPtrArray *rules; /* struct vh_nft_rule */
};

struct vh_nft_elem {
    struct vh_nft_bytes key;     /* `data` is NULL if it is the one that catches all */
    struct vh_nft_bytes key_end; /* inclusive; `data` is NULL if it is one key */
    struct vh_nft_bytes data;
    struct vh_nft_verdict verdict;
    bool has_verdict;
    bool end;      /* the first key behind an interval */
    bool catchall; /* is found if nothing else is */
    bool timed;    /* goes without notice */
    bool stateful; /* finding it has an effect */
};

struct vh_nft_set {
    const struct vh_nft_table *table;
    const char *name;
    uint32_t flags; /* NFT_SET_* */
    uint32_t key_len;
    uint8_t fields[VH_NFT_FIELDS_MAX]; /* the bytes of each, if it is a concatenation */
    unsigned field_count;
    bool strange;   /* has what is not known here: nothing can be said of what is in it */
    bool timed;     /* one of its elements is */
    bool stateful;  /* likewise */
    bool valued;    /* an element, but for ends, has no verdict */
    guint catchall; /* 1 + the number of the element that is one; 0: none is */
    GArray *elems;
};

typedef struct {
    GBytes *source;
    GPtrArray *tables;
    GPtrArray *chains;
    GPtrArray *rules;
    GPtrArray *sets;
    guint elems;
    bool helpers;    /* conntrack helpers or expectations may make flows related */
    bool flowtables; /* packets may go past all hooks of IP */
} VhNftRules;

/* Reads a dump. On failure says at which message, and what is wrong with it. Never takes longer
 * than linear in the bytes. */
VhNftRules *vh_nft_read(GBytes *dump, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void vh_nft_free(VhNftRules *rules);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhNftRules, vh_nft_free)
