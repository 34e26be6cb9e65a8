/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the translation tell one another. */
#pragma once

#include "net/firewall.h"

/* Where a byte in a register comes from. */
enum vh_fw_source {
    VH_FW_BYTE_UNKNOWN,
    VH_FW_BYTE_CONST, /* `value` */
    VH_FW_BYTE_FIELD, /* byte `at` of `field`, the most significant first */
    VH_FW_BYTE_NAME,  /* byte `at` of the name of the interface that VH_FW_LINK tells */
    VH_FW_BYTE_INDEX, /* byte `at` of its index */
    VH_FW_BYTE_EXT,   /* 1 if one of the bits `value` is in VH_FW_EXT, else 0 */
    VH_FW_BYTE_STATE  /* byte `at` of conntrack's state of a flow that is not known */
};

struct vh_fw_byte {
    enum vh_fw_source source;
    enum vh_fw_field field; /* on which it depends, of all but CONST, UNKNOWN and STATE */
    uint8_t at;
    uint8_t value;
    uint8_t mask; /* what is in the register is byte & mask ^ flip */
    uint8_t flip;
};

/* One way in which a rule matches. */
struct vh_fw_box {
    const VhRanges *field[VH_FW_FIELDS];
    bool may; /* number 1 of net/firewall.h */
};

/* The translation of one IP version's rules. */
typedef struct {
    const VhNftRules *rules;
    const struct vh_fw_guest *guest;
    VhFwRows *out;
    VhRangeStore *store;
    GArray *rows;
    GArray *labels; /* guint: the row that a label stands before */
    bool v6;
    bool stopped;       /* all that comes now is passed */
    bool whole;         /* fragments do not come here */
    bool at_device;     /* a netdev hook: all packets are seen at `device` */
    guint device;       /* number of the link */
    bool types_change;  /* rules set the type of packets */
    guint steps;        /* that may still be made */
    GHashTable *known;  /* rule that has a note */
    GHashTable *unions; /* struct vh_nft_set -> what is in it, as one set of values */
} VhFwWork;

/* A chain whose packets are in `box`. What returns from it goes on at the label `back`, and what is
 * accepted at `end`, behind the base chain. */
struct vh_fw_walk {
    const struct vh_nft_chain *chain;
    struct vh_fw_box box; /* `may`: it cannot be told whether they come here */
    bool nat;             /* conntrack asks the chain about new flows only */
    bool loose;           /* it cannot be told whether `back` is where they would go on */
    guint back;
    guint end;
    guint depth;
};

/* One rule under evaluation. */
typedef struct {
    VhFwWork *work;
    const struct vh_fw_walk *walk;
    const struct vh_nft_rule *rule;
    struct vh_fw_byte reg[VH_NFT_REGISTERS];
    GArray *boxes; /* struct vh_fw_box: the rule matches where one of them does */
    guint next;    /* label: behind the rule */
} VhFwRule;

enum vh_fw_op { VH_FW_EQ, VH_FW_LT, VH_FW_LTE, VH_FW_GT, VH_FW_GTE, VH_FW_BETWEEN };

/* What a register's bytes are asked. */
struct vh_fw_test {
    uint8_t reg;
    uint8_t len;
    enum vh_fw_op op;
    const uint8_t *data;
    const uint8_t *data2; /* of VH_FW_BETWEEN: the last that is within */
};

/* Narrows `box` to where the test holds. Returns false if it holds nowhere. Where it cannot be
 * told, sets `may` of the box. */
bool vh_fw_narrow(VhFwRule *rule, const struct vh_fw_test *test, struct vh_fw_box *box);

/* The one field that these bytes are all of, unchanged and from its first on, with at least as many
 * as the field has; VH_FW_FIELDS: there is none. */
enum vh_fw_field vh_fw_whole_field(const VhFwRule *rule, uint8_t reg, gsize len);

/* How many states a flow may have that the guest does not know, if these bytes are its state; else
 * 0. Which it has is hidden. */
guint vh_fw_states(const VhFwRule *rule, uint8_t reg, gsize len);
bool vh_fw_holds_in(const VhFwRule *rule, const struct vh_fw_test *test, guint state);

gsize vh_fw_field_size(enum vh_fw_field field, bool v6);
vh_u128 vh_fw_number(const uint8_t *data, gsize len);

/* Intersects; false: nothing is left. */
bool vh_fw_box_and(VhFwWork *work, struct vh_fw_box *box, enum vh_fw_field field,
                   const VhRanges *ranges);

/* From here on it cannot be told whether the rule matches. */
void vh_fw_rule_may(VhFwRule *rule);

/* All that has come so far is passed, and the rule ends. */
void vh_fw_rule_pass(VhFwRule *rule);

/* Writes registers. */
void vh_fw_load(VhFwRule *rule, const struct vh_nft_expr *expr);

/* Carries a verdict out on the packets in `box`. */
typedef void (*vh_fw_verdict_fn)(VhFwRule *rule, const struct vh_nft_verdict *verdict,
                                 const struct vh_fw_box *box);

/* Narrows the boxes, makes more of them, or has verdicts carried out. */
void vh_fw_lookup(VhFwRule *rule, const struct vh_nft_expr *expr, vh_fw_verdict_fn verdict);

/* Narrows the boxes by a match of iptables. */
void vh_fw_match(VhFwRule *rule, const struct vh_nft_expr *expr);

/* Packets in `box` do not match: a row that goes past the rule. */
void vh_fw_except(VhFwRule *rule, const struct vh_fw_box *box);

/* Makes the rows of a walk. */
void vh_fw_walk_chain(VhFwWork *work, const struct vh_fw_walk *walk);

/* Labels stand before rows; each is put once, behind all rows that go to it. */
guint vh_fw_label(VhFwWork *work);
void vh_fw_put(VhFwWork *work, guint label);
void vh_fw_row(VhFwWork *work, const struct vh_fw_box *box, enum vh_fw_action action, guint label,
               const struct vh_nft_rule *rule);
void vh_fw_note(VhFwWork *work, const struct vh_nft_rule *rule, const char *reason);

/* Number 4 of net/firewall.h: all that comes is passed. */
void vh_fw_stop(VhFwWork *work);

/* Takes `cost` off the budget of steps; false: there is nothing left. */
bool vh_fw_step(VhFwWork *work, guint cost);
