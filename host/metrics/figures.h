/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A snapshot of the daemon's figures: numbers only, so that taking it costs the hint path a copy.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define VH_FIGURES_GUESTS_MAX 4096u /* listed one by one; a bound for whoever stores them */

struct vh_guest_figures {
    char name[100];
    bool connected, held;
    unsigned vcpus, pinned, facts;
    uint64_t hints, lost, refused, gaps; /* of the session with its injector */
};

struct vh_figures {
    unsigned guests, connected; /* all of them */
    uint64_t rounds;            /* that guests have caused */
    int64_t round_us;           /* what they took together */
    uint64_t plans;             /* made so far */
    uint64_t plan_ns;           /* CPU time that making them took */
    uint64_t journal_dropped;   /* lines of the journal that were lost */
    unsigned count;             /* of `each` */
    struct vh_guest_figures each[];
};

/* On the main loop's thread; g_free() it. */
typedef struct vh_figures *(*VhFiguresFunc)(gpointer data);

/* In the text format that Prometheus scrapes (version 0.0.4). Pure. g_free() it. */
char *vh_figures_text(const struct vh_figures *figures);
