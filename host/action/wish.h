/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wished for a guest and for each of its vCPUs: values. Rules are borrowed from the policy.
 */
#pragma once

#include "action/rule.h"

enum vh_wish_kind { VH_WISH_NONE, VH_WISH_ANCHOR, VH_WISH_GROUP };

/* What the rules say of the guest's memory. */
struct vh_ram_wish {
    const struct vh_rule *rule; /* of several the one with the lowest name; NULL: none has to do
                                   with it */
    bool asked;
    double stall; /* the worst figure of the facts that ask; NAN: none */
    gint64 room;  /* bytes that it could do without: the least that a fact says; -1: none does */
};

struct vh_wish {
    enum vh_wish_kind kind;
    unsigned tasks; /* facts that ask for it */
    unsigned group; /* GROUP: number of the group, from 1 */
    int guest_cpu;  /* ANCHOR: the guest CPU that is to be pinned */
    const struct vh_rule
        *rule;       /* the one that asks, of several the lowest name. NULL: nobody asks */
    bool over_limit; /* would be an anchor but for max-pins */
    const struct vh_rule *tried; /* it must prove itself by this rule; NULL: it need not */
    const struct vh_rule *boost; /* of several the last in the files; NULL: no boost */
    double figure; /* the worst one the guest says the boost should make better; NAN: none */
};

/* For people: "2 hints pin guest CPU 3 (rule affinity-pin)". g_free() it. */
char *vh_wish_text(const struct vh_wish *wish);
/* The same of a copy whose rules may be gone: `action` and the name `rule` are those of the rule
 * that asks; NULL: nobody does. */
char *vh_wish_copy_text(const struct vh_wish *wish, const struct vh_action *action,
                        const char *rule);

/* Do both ask for the same, by however many tasks? Their policy is the same one. */
bool vh_wish_equal(const struct vh_wish *a, const struct vh_wish *b);
bool vh_ram_wish_equal(const struct vh_ram_wish *a, const struct vh_ram_wish *b);

/* What can be wrong with a hint, for the count and the journal. */
enum vh_verdict {
    VH_VERDICT_OK,
    VH_VERDICT_OTHER,   /* no rule asks for anything because of it */
    VH_VERDICT_EMPTY,   /* the mask is all zeros */
    VH_VERDICT_BEYOND,  /* a CPU that the guest's CPU map does not have */
    VH_VERDICT_NO_VCPU, /* a CPU whose APIC id no vCPU has */
    VH_VERDICT_SEVERAL, /* to be pinned to one CPU, but several are named */
    VH_VERDICT_COUNT
};
const char *vh_verdict_text(enum vh_verdict verdict);
