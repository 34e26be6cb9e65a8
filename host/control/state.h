/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One call of the control interface, on its way to the hint thread and back. For the files of this
 * folder only.
 *
 * calls.c makes it of what GDBus has read and answers it, on the control thread; answers.c asks the
 * manager in between, on the hint thread. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "control/watches.h"
#include "io/errands.h"
#include "round/portrait.h"

struct vh_call {
    struct vh_errand errand;
    GDBusMethodInvocation *invocation; /* the control thread's alone */
    /* Makes the value of the portraits, on the control thread. false: there is more to ask for, by
     * the same errand. NULL: there are none. */
    bool (*words)(struct vh_call *call);
    GVariantBuilder *list; /* of the words so far; NULL: none */

    /* what is asked */
    VhManager *manager;
    VhWatches *watches;
    char *guest;
    char *name; /* of a program, or for an object; NULL: none is named */
    GBytes *object;
    GVariant *tunables;
    bool replace;
    guint64 after; /* the guest with that number; then the last one of the answer */

    /* the answer */
    GError *error;   /* NULL: it went well */
    GVariant *value; /* all that the method returns; NULL: nothing, or its words are to be made */
    GPtrArray *portraits; /* VhPortrait: of which its words are made */
    int fd;               /* goes along, and is the call's; -1: none does */
};

/* ---- answers.c: each is a vh_errand's work, for the method of its name ---- */

void vh_answer_list_guests(struct vh_errand *errand);
void vh_answer_get_guest(struct vh_errand *errand);
void vh_answer_get_guests(struct vh_errand *errand);
void vh_answer_list_programs(struct vh_errand *errand);
void vh_answer_explain(struct vh_errand *errand);
void vh_answer_offloads(struct vh_errand *errand);
void vh_answer_get_policy(struct vh_errand *errand);
void vh_answer_list_hints(struct vh_errand *errand);
void vh_answer_inject(struct vh_errand *errand);
void vh_answer_eject(struct vh_errand *errand);
void vh_answer_bootstrap(struct vh_errand *errand);
void vh_answer_release(struct vh_errand *errand);
void vh_answer_resume(struct vh_errand *errand);
void vh_answer_handover(struct vh_errand *errand);
void vh_answer_watch(struct vh_errand *errand);
