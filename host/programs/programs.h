/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs of one guest: those wanted, by policy or by hand, against those that run.
 *
 * Whatever the guest reports is compared with what is wanted, and only the difference is sent: one
 * path for the first start, a restarted daemon, a restarted injector and a rebooted guest. A
 * program that the guest refused is not tried again before the guest has booted anew or its object
 * has changed. Nor is one with which the injector went away: whose load had been under way for
 * long, or not for the first time.
 *
 * What a guest has not answered is bounded (channel/session.h). Where it owes too much, what is to
 * be done waits for its next answer, and callers are refused. */
#pragma once

#include <gio/gio.h>

#include "channel/session.h"
#include "hint/object.h"

/* How long a caller waits for a guest of which nothing is heard, and how long for one that is alive
 * but whose kernel is not through. */
#define VH_SILENCE_SECONDS 60u
#define VH_ANSWER_SECONDS 600u
#define VH_LOOK_SECONDS 5u /* between two looks at that */

typedef struct VhPrograms VhPrograms;

struct vh_programs_funcs {
    /* The facts of the program with this id are void, and its kinds will not be there any longer.
     */
    void (*gone)(uint32_t id, gpointer data);
    /* A step was taken or failed, for the journal. */
    void (*step)(const char *what, const char *why, gpointer data);
    /* What is injected by hand has changed. */
    void (*injected)(gpointer data);
    /* What a caller waited for has ended by the clock or the disk, not by a word of the guest: no
     * turn of the guest's comes that would settle what follows from it. */
    void (*ended)(gpointer data);
};

/* What runs, or should. */
struct vh_managed {
    VhObject *object;
    char *name;
    GBytes *tunables;
    struct vh_load_call *load; /* under way; NULL: none */
    bool injected;
    bool refused; /* by the guest that booted as `refused_by` */
    bool ejected; /* goes once the guest has answered */
    uint8_t refused_by[16];
    uint32_t id; /* in the guest; 0: does not run */
    uint32_t attached;
    bool has_state; /* a map `state` */
    bool renew;     /* it may run with former tunables */
    uint64_t lost;
    uint64_t hints; /* received */
    char *problem;  /* why it does not run; "": none */
    char *trouble;  /* what the guest has said last is wrong with it while it runs */
    bool troubled;  /* and still is */
    char *misfit;   /* what is wrong with its hints; "": nothing */
    unsigned stuck; /* loads that did not come back, in the guest that booted as `refused_by` */
};

/* `directory` is where injected programs are kept (kept.h); they are read now. `funcs` is borrowed.
 */
VhPrograms *vh_programs_new(const char *directory, const struct vh_programs_funcs *funcs,
                            gpointer data);
/* Pending calls end with an error. */
void vh_programs_free(VhPrograms *programs);

/* A program that policy wants. */
struct vh_program_wish {
    VhObject *object;
    GBytes *tunables;
};

/* From now on policy wants these (borrowed), and none that it wanted before: what runs already goes
 * on, another object or other tunables replace it, the rest is unloaded. An injected program gives
 * way to one of its name. */
void vh_programs_want(VhPrograms *programs, const struct vh_program_wish *wishes, uint32_t count);

/* From now on these (struct vh_travel_program, borrowed) are the programs injected by hand, here
 * and on disk; before the first session. */
void vh_programs_replace_injected(VhPrograms *programs, const GPtrArray *list);

/* The session (borrowed) is up, with a guest that booted as `boot_id`. */
void vh_programs_up(VhPrograms *programs, VhSession *session, const uint8_t boot_id[16]);
/* It is down; its requests have been answered. */
void vh_programs_down(VhPrograms *programs);
/* The guest reports what runs. */
void vh_programs_report(VhPrograms *programs, const struct vh_program *running, uint32_t count);

/* The guest has answered something: does what it could not be asked before. */
void vh_programs_go_on(VhPrograms *programs);

/* The guest says what is wrong with the program of this id; "": nothing. */
void vh_programs_trouble(VhPrograms *programs, uint32_t id, const char *text);
/* What there is to say of a program: why it does not run, or what is wrong with it; "": nothing.
 * Owned by the caller. */
char *vh_programs_problem(const struct vh_managed *managed);

/* How many answers the guest owes, where those are so many that it is not asked what it should be;
 * 0: it is. */
unsigned vh_programs_owed(const VhPrograms *programs);

/* Does all that is wanted and not refused run, with its facts complete? */
bool vh_programs_are_settled(const VhPrograms *programs);

/* The program with this id in the guest; NULL: none of ours. */
struct vh_managed *vh_programs_by_id(VhPrograms *programs, uint32_t id);

guint vh_programs_count(const VhPrograms *programs);
const struct vh_managed *vh_programs_get(const VhPrograms *programs, guint index);
/* "wanted", "loading", "running" or "refused". */
const char *vh_programs_state(const struct vh_managed *managed);

/* Injects `object`; `task` (taken over) returns its name (g_free) or an error. */
void vh_programs_inject(VhPrograms *programs, VhObject *object, GBytes *tunables, bool replace,
                        GTask *task);
/* Ejects a program; `task` (taken over) returns 0 or an error. */
void vh_programs_eject(VhPrograms *programs, const char *name, GTask *task);
