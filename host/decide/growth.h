/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory a guest has while it asks for more, and after that: decisions, without I/O and
 * clock.
 *
 * One step at a time, up to the limit, as long as a rule asks; back to what it had, one step at a
 * time, when none does any longer. The guest's word is all there is to go by, so it never grants
 * anything that the operator's limits do not, and it may take away:
 *  1. A step is taken only if the host can spare it.
 *  2. Having all that the limit allows is a trial: when the guest says after VH_GROWTH_JUDGE_US
 * that it is no better off than before the first step, all is taken back, and it is not tried again
 * for a while, longer each time.
 *  3. A step back is taken only if the guest says that it has room for two; when it does not say,
 * much later.
 *  4. A step back is a trial too: when the guest asks again within VH_GROWTH_RELAPSE_US, it gets
 * the step again, and the next one back waits twice as long. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VH_GROWTH_SETTLE_US ((gint64)3 * G_USEC_PER_SEC) /* from a step to the next one up */
#define VH_GROWTH_LINGER_US ((gint64)5 * G_USEC_PER_SEC) /* where policy says nothing of linger */
#define VH_GROWTH_DUMB_FACTOR 6 /* so much longer if the guest does not tell its room */
#define VH_GROWTH_RELAPSE_US \
    ((gint64)30 * G_USEC_PER_SEC) /* a step back is blamed for what comes within that */
#define VH_GROWTH_JUDGE_US ((gint64)30 * G_USEC_PER_SEC) /* at the limit, before the verdict */
#define VH_GROWTH_REST_US ((gint64)60 * G_USEC_PER_SEC)  /* after a verdict against it, at first */
#define VH_GROWTH_RETRY_US ((gint64)10 * G_USEC_PER_SEC) /* while the host has nothing to spare */
#define VH_GROWTH_DOUBLINGS 6u
#define VH_GROWTH_STEP_MIN ((guint64)4 << 20) /* bytes: less is not worth a command */

/* In bytes, of all the guest's memory. */
struct vh_growth_limits {
    guint64 min;   /* steps back end here, if not before, at what it had */
    guint64 max;   /* 0: nothing is done */
    guint64 step;  /* more than 0 */
    gint64 linger; /* us from a change to a step back, at first; more than 0 */
};

/* What is known at this moment. */
struct vh_growth_ask {
    bool asked;   /* a rule asks for more */
    bool trial;   /* number 2 above */
    double stall; /* how badly off the guest says it is: lower is better; NAN: it does not say */
    gint64 room;  /* bytes that it says it could do without; -1: it does not say */
    guint64 has;  /* bytes, before the first step */
    gint64 spare; /* bytes that the host can spare */
};

enum vh_growth_state {
    VH_GROWTH_OFF,     /* it has what it had */
    VH_GROWTH_GROWING, /* it has more, and gets still more */
    VH_GROWTH_FULL,    /* it has all that it may have */
    VH_GROWTH_SHORT,   /* the host has no more to spare */
    VH_GROWTH_IN_USE,  /* nothing asks for more, but it has no room for a step back */
    VH_GROWTH_EASING,  /* on its way back */
    VH_GROWTH_RESTING, /* was of no use; not tried again yet */
    VH_GROWTH_COUNT
};
const char *vh_growth_state_text(enum vh_growth_state state);

/* One guest's. All zeros to begin with. */
struct vh_growth {
    enum vh_growth_state state;
    guint64 base;      /* what it had; of meaning with target */
    guint64 target;    /* bytes that it is to have; 0: what it had */
    gint64 changed;    /* when target last did */
    gint64 calm;       /* since when nothing asks; 0: something does */
    gint64 eased;      /* the last step back; 0: none that would matter */
    gint64 rest;       /* RESTING: until then */
    unsigned relapses; /* steps back in a row that were to blame */
    unsigned reverts;  /* verdicts against it, in a row */
    bool judged;       /* at this limit */
    double before;     /* stall, before the first step */
    double after;      /* at the last verdict */
};

/* Decides anew. Returns when to look again though nothing is heard; -1: never. */
gint64 vh_growth_look(struct vh_growth *growth, const struct vh_growth_limits *limits,
                      const struct vh_growth_ask *ask, gint64 now);
