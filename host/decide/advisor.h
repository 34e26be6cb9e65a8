/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does an offload pay? Decisions, without I/O and clock.
 *
 * An offload counts at first what it would do. Then it is tried, if that could pay at all; then it
 * is kept, if what a packet costs altogether has become less. What a packet costs is CPU time: that
 * of the guest's QEMU with its vCPUs and vhost workers, and that of the slots; divided by all
 * packets that came for the guest, whoever has dealt with them.
 *
 *  1. A slot that decides about nothing, or so seldom that it costs more than it could save, is not
 *     tried.
 *  2. What is tried is kept only if it saves more than VH_ADVISOR_GAIN, and more than the samples
 *     differ among themselves anyway. In doubt it is given back.
 *  3. What is kept is given back once 1 holds for it: the workload has changed.
 *  4. What was not tried, or given back, rests, each time longer; then it counts again.
 *  5. Samples with few packets say nothing. As long as there are only such, nothing is decided. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VH_ADVISOR_SAMPLES 5u   /* busy ones that a decision takes */
#define VH_ADVISOR_BUSY 50u     /* packets in a sample, at least */
#define VH_ADVISOR_GAIN 0.05    /* of what a packet costs */
#define VH_ADVISOR_PATIENCE 30u /* samples, busy or not, that a trial may last */
#define VH_ADVISOR_REST_US ((gint64)60 * G_USEC_PER_SEC)
#define VH_ADVISOR_DOUBLINGS 6u

enum vh_advisor_state {
    VH_ADVISOR_COUNTING, /* its slots see packets, and do nothing */
    VH_ADVISOR_TRIAL,    /* they act, and are measured */
    VH_ADVISOR_KEPT,
    VH_ADVISOR_RESTING, /* they are not there */
    VH_ADVISOR_STATES
};
/* "counting", "trial", "kept", "resting". */
extern const char *const vh_advisor_states[VH_ADVISOR_STATES];

enum vh_advisor_verdict {
    VH_ADVISOR_NONE,    /* there was none yet */
    VH_ADVISOR_NO_HITS, /* number 1: it decides about nothing */
    VH_ADVISOR_TOO_FEW, /* number 1: it decides about too little */
    VH_ADVISOR_PAYS,    /* number 2 */
    VH_ADVISOR_NO_GAIN, /* number 2 */
    VH_ADVISOR_CHANGED, /* number 3 */
    VH_ADVISOR_NO_WORD, /* too few packets came in the trial */
    VH_ADVISOR_VERDICTS
};

/* What has been since the sample before. */
struct vh_advisor_sample {
    guint64 packets;  /* that came for the guest */
    guint64 hits;     /* that the slot decided about, or would have */
    guint64 slot_ns;  /* that its programs took */
    guint64 guest_ns; /* CPU time of the guest's QEMU, its vCPUs and vhost workers */
};

/* One offload's. All zeros to begin with. */
struct vh_advisor {
    enum vh_advisor_state state;
    enum vh_advisor_verdict verdict;                     /* the last one */
    struct vh_advisor_sample series[VH_ADVISOR_SAMPLES]; /* busy ones, of this state */
    unsigned count;   /* of them so far; KEPT: of all, the latest are there */
    unsigned seen;    /* samples in this state, busy or not */
    gint64 rest;      /* RESTING: until then */
    unsigned reverts; /* rests in a row */
    double share;     /* of packets, that it decided about; at the last verdict */
    double before;    /* ns that a packet cost without it; 0: not known */
    double after;     /* and with it; likewise */
    double noise;     /* share of `before` */
    double slot;      /* ns of the slots, for a packet; at the last verdict */
};

/* Takes a sample of a state that is not RESTING, and decides. Returns whether the state is another
 * now. */
bool vh_advisor_take(struct vh_advisor *advisor, const struct vh_advisor_sample *sample,
                     gint64 now);
/* Time has passed. Returns whether a rest is over. */
bool vh_advisor_wake(struct vh_advisor *advisor, gint64 now);
/* What it does is something else from now on: it counts again. */
void vh_advisor_restart(struct vh_advisor *advisor);

/* Are its programs to be there? Are they to act? */
bool vh_advisor_loads(const struct vh_advisor *advisor);
bool vh_advisor_acts(const struct vh_advisor *advisor);

/* The last verdict with its numbers, in words; "" for none. g_free() it. */
char *vh_advisor_why(const struct vh_advisor *advisor);
