/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What top.c and top-sample.c share: what there is to see of all vCPUs at one moment. */
#pragma once

#include "ctl/ctl.h"
#include "machine/sample.h"

/* One vCPU. Texts are printable. */
struct vh_top_row {
    char *guest;
    guint vcpu;
    pid_t thread;  /* 0: offline */
    int cpu;       /* that it ran on last; -1: not known */
    char *held_to; /* CPU list; "" for one that floats */
    char *reason;
    double run, wait; /* percent of the time since the sample before that it ran, and waited to run;
                         NAN: not known */
    double hints;     /* its guest's, per second; NAN: not known */
    struct vh_run total; /* since the thread began */
};

struct vh_top_sample {
    gint64 time;       /* monotonic, us */
    GPtrArray *rows;   /* struct vh_top_row, in the daemon's order */
    GHashTable *hints; /* guest -> guint64 *: hints so far */
    guint guests, connected;
};

enum vh_top_order { VH_TOP_GUEST, VH_TOP_WAIT, VH_TOP_RUN, VH_TOP_HINTS, VH_TOP_ORDER_COUNT };
extern const char *const vh_top_order_names[];

/* Asks the daemon, and /proc for its threads. What is per time is since `before` (NULL: not known).
 * NULL and an error. */
struct vh_top_sample *vh_top_sample(struct vh_ctl *ctl, const struct vh_top_sample *before,
                                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of the list of GetGuest's dictionaries. */
struct vh_top_sample *vh_top_sample_of(GVariant *guests, const struct vh_top_sample *before);
void vh_top_sample_free(struct vh_top_sample *sample);

/* Of a sample's rows, or of others that refer to them. Stable: equals stay in their order. What is
 * not known comes last. */
void vh_top_sort(GPtrArray *rows, enum vh_top_order order);

#define VH_TOP_COLUMNS 8
extern const char *const vh_top_columns[]; /* headings, NULL-terminated */
/* The row's text in that column; g_free() it. */
char *vh_top_cell(const struct vh_top_row *row, unsigned column);

/* ---- top-look.c: samples are taken in a thread, which may have to wait for the daemon ---- */

typedef struct VhTopLooker VhTopLooker;

/* Until it is freed, `ctl` is its own. */
VhTopLooker *vh_top_looker_new(struct vh_ctl *ctl);
/* Does not wait for the daemon. */
void vh_top_looker_free(VhTopLooker *looker);
/* Readable once there is something to take. */
int vh_top_looker_fd(const VhTopLooker *looker);
/* Begins a look; `before` (NULL: none yet) must not change until it is taken. A daemon that went
 * away is sought again. */
void vh_top_looker_ask(VhTopLooker *looker, const struct vh_top_sample *before);
/* false: there is nothing yet. Else a sample, or what went wrong; the caller's. */
bool vh_top_looker_take(VhTopLooker *looker, struct vh_top_sample **sample, char **problem);
