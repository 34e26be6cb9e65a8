/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Portraits: what is shown of guests, copied, so that another thread can put it into words.
 *
 * Theory of operation. The hint thread owns all that is known of guests. People's questions are
 * answered by other threads (control/), which may touch none of it: words take them a hundred times
 * as long as a copy does, and hints would wait meanwhile. So the hint thread copies what is shown
 * of a guest into a portrait and hands that over:
 *
 *      hint thread                                    control thread
 *
 *      guest, plan, actuator
 *         | vh_round_portray: numbers, and
 *         |     the few texts that are there
 *         v
 *      VhPortrait ---------- an errand's answer ----> vh_portrait_describe: names of states,
 *                            (io/errands.h)           reasons, lists of CPUs, GVariants
 *
 *  1. A portrait never changes once it is made. Its references are counted atomically, and it
 *     borrows nothing: it outlives its guest, the plan and the policy.
 *  2. A portrait is made, or known to be like, when somebody asks and after whatever was asked
 *     before, so it shows what came of that.
 *  3. What the kernel alone knows, which CPUs a thread may use now, is read when it is put into
 *     words.
 *  4. Each thread's standing is one value, which status, why and map render: they cannot disagree.
 *     standing.c works it out, from the last run's plan and wishes. Asking changes nothing.
 *  5. Who asks about many guests is shown the same portraits as last time, but for those of guests
 *     that have changed: gallery.c. Whoever changes what is shown says so: a guest (struct
 *     vh_guest_funcs, shown), the actuator (vh_actuate_tell), the manager (vh_entry_redraw). Plans
 *     are compared, once somebody asks. What may change by time alone is never kept: problems, and
 *     what a former vhintd has left. VH_ASSERT_DEEP() compares each portrait that is kept with a
 *     new one. */
#pragma once

#include "action/wish.h"
#include "guest/portrait.h"
#include "placement/placement.h"

/* ---- how a thread stands ---- */

enum vh_standing_state {
    VH_STANDING_FLOATING, /* nothing is wanted, or it is not ours to do */
    VH_STANDING_WANTED,   /* a place is wished and it has none */
    VH_STANDING_PINNED,   /* by us, or by a former vhintd whose pins are not taken over yet */
    VH_STANDING_STATES
};

/* "floating", "wanted", "pinned". */
extern const char *const vh_standing_names[VH_STANDING_STATES];

/* What it stands so by: the first of these that is so. */
enum vh_standing_ground {
    VH_STANDING_RELEASED,  /* its guest, by hand */
    VH_STANDING_LEFT,      /* by a former vhintd, until its guest has said what holds */
    VH_STANDING_OFF,       /* somebody else places it */
    VH_STANDING_UNPLANNED, /* it has come since the last plan */
    VH_STANDING_PLANNED
};

typedef struct vh_standing {
    pid_t thread;
    enum vh_standing_state state;
    enum vh_standing_ground ground;
    bool left;                      /* held to what a former vhintd has left */
    bool held;                      /* to CPUs, by us */
    bool wishes;                    /* a vCPU with a wish that is known */
    struct vh_wish wish;            /* that, without its rules */
    const struct vh_action *action; /* of the rule that asks; NULL: none does */
    const char *rule;               /* likewise, its name; interned */
    VhPlace place;                  /* PLANNED: what the plan has for it */
    char *off;                      /* OFF: why */
    GRefString *former;             /* what it might use before, in words; NULL: it is as it was */
    char *problem;                  /* of the last action; NULL: none */
} VhStanding;

void vh_standing_clear(VhStanding *standing);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VhStanding, vh_standing_clear)

/* Why it stands so, for people. g_free() it. */
char *vh_standing_why(const VhStanding *standing);
/* The CPUs that it may use now, "" if it is gone. g_free() it. */
char *vh_standing_cpus(const VhStanding *standing);

/* ---- a guest ---- */

struct vh_portrait_thread {
    VhStanding standing;
    union {
        struct {
            unsigned index;
            int guest_cpu; /* -1: not known */
            int apic_id;   /* likewise */
        } vcpu;
        struct {
            const char *role; /* static */
            char name[16];    /* any bytes */
        } helper;
    };
};

typedef struct VhPortrait {
    VhGuestPortrait guest;
    bool held;        /* released by hand */
    char *problem;    /* what the last plan could not do for the guest as a whole; NULL: nothing */
    char *nodes;      /* NUMA nodes of its memory; NULL: not known */
    GVariant *memory; /* GetGuest's a{sv}; NULL: no rule has to do with it */
    unsigned vcpus, helpers;
    struct vh_portrait_thread threads[]; /* vCPUs, then the others */
} VhPortrait;

/* Blank, with room for so many threads. */
VhPortrait *vh_portrait_new(unsigned vcpus, unsigned helpers);
VhPortrait *vh_portrait_ref(VhPortrait *portrait);
void vh_portrait_unref(VhPortrait *portrait);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhPortrait, vh_portrait_unref)
bool vh_portrait_equal(const VhPortrait *a, const VhPortrait *b);

/* In the words of org.vhint.Manager1.xml, floating: ListGuests' a{sv}. */
GVariant *vh_portrait_summary(const VhPortrait *portrait);
/* GetGuest's a{sv}. */
GVariant *vh_portrait_describe(const VhPortrait *portrait);
/* Adds what GetGuest says of a thread beside the vCPUs. */
void vh_portrait_describe_helper(const struct vh_portrait_thread *thread, GVariantDict *dict);
