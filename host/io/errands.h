/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Has one thread's main loop do things for another thread's main loop.
 *
 * Theory of operation. There are two threads, each with a main loop: the asker's and the doer's. An
 * errand belongs to one of them at a time, so that nothing in it needs a lock:
 *
 *       the asker's thread                     the doer's thread
 *
 *       vh_errands_send ---------------------> work
 *                                                |   at once, or any time later
 *       done <-------------------------------- vh_errand_finish
 *
 *  1. Errands are worked in the order in which they were sent, and done in the order in which they
 *     were finished. So whoever has seen one done finds its effect with the next.
 *  2. work waits for nobody. What takes its time goes on elsewhere, and finish is called later.
 *  3. The doer's loop works for VH_ERRANDS_TURN_US at a time, and then serves others first.
 *  4. Each errand that was sent is either done or dropped, once. It is dropped when the line is
 *     closed before it is done.
 *
 * The two queues are all that the threads share. Their lock is POSIX's, since ThreadSanitizer does
 * not see GLib's. */
#pragma once

#include <glib.h>

#define VH_ERRANDS_TURN_US 500

typedef struct VhErrands VhErrands;

/* The first member of what the asker sends. */
struct vh_errand {
    /* On the doer's thread. */
    void (*work)(struct vh_errand *errand);
    /* On the asker's: the errand is its again. */
    void (*done)(struct vh_errand *errand);
    /* Frees it instead, on the doer's. */
    void (*drop)(struct vh_errand *errand);
    VhErrands *errands; /* set by send */
    GList link;         /* private */
};

/* Between the threads that run these contexts; NULL is the default one. */
VhErrands *vh_errands_new(GMainContext *doer, GMainContext *asker);

/* Takes the errand over. On the asker's thread. */
void vh_errands_send(VhErrands *errands, struct vh_errand *errand);

/* Its work is finished. On the doer's thread, in work or later. */
void vh_errand_finish(struct vh_errand *errand);

/* On the doer's thread, once the asker's has ended: drops what is not done, now or when it is
 * finished. */
void vh_errands_close(VhErrands *errands);
