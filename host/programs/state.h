/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of a guest's programs share, lowest file first: each calls only those named
 * before it. programs.c and calls.c stand on top. */
#pragma once

#include "programs/programs.h"

/* A load that reconcile has sent. */
struct vh_load_call {
    VhPrograms *programs;
    struct vh_managed *managed; /* NULL: not wanted any longer */
    gint64 since;               /* monotonic, us */
};

/* An inject or eject that somebody waits for. */
struct vh_call {
    VhPrograms *programs; /* NULL: they are gone, and the task has returned */
    GTask *task;
    char *name;
    struct vh_managed *candidate; /* inject: the new program until it is committed; eject: NULL */
    uint32_t request;
    guint timer;
    gint64 since; /* monotonic, us */
};

struct VhPrograms {
    char *directory;
    const struct vh_programs_funcs *funcs;
    gpointer data;
    VhSession *session; /* NULL: down */
    uint8_t boot_id[16];
    GArray *wishes;     /* struct vh_program_wish: what policy wants, referenced */
    GPtrArray *managed; /* struct vh_managed, owned */
    GPtrArray *calls;   /* struct vh_call */
    struct vh_program running[VH_PROGRAMS_MAX];
    uint32_t unloading[VH_PROGRAMS_MAX]; /* its UNLOAD, not repeated in this session; 0: none */
    uint32_t running_count;
    uint32_t unloads; /* unanswered, of those nobody waits for: VH_PROGRAMS_MAX at most */
    bool deferred;    /* the guest owes too many answers for all that is to be done */
    bool reported;    /* in this session, what runs */
};

/* state.c */
void vh_managed_free(gpointer data);
struct vh_managed *vh_managed_new(VhObject *object, GBytes *tunables, bool injected);
void vh_call_free(struct vh_call *call);
struct vh_managed *vh_programs_find(const VhPrograms *programs, const char *name);
struct vh_call *vh_programs_find_call(const VhPrograms *programs, const char *name);
/* From now on the guest's number for `managed` is `id` (0: it does not run), and no other program
 * of ours has it. The one place where an id changes: what was said under the former one ends. */
void vh_programs_set_id(VhPrograms *programs, struct vh_managed *managed, uint32_t id);
/* What is wrong with a guest's answer that `managed` runs now as `id`; NULL: it may be so. g_free()
 * it. */
char *vh_programs_doubt(VhPrograms *programs, const struct vh_managed *managed, uint32_t id);
/* Forgets a program, and what was said under its id. */
void vh_programs_drop(VhPrograms *programs, struct vh_managed *managed);
void vh_programs_forget_running(VhPrograms *programs, const char *name);
/* The guest has said that `managed` runs as `id`; its PROGRAMS may come before or after. */
void vh_programs_note_running(VhPrograms *programs, struct vh_managed *managed, uint32_t id);
uint32_t vh_programs_send_load(VhPrograms *programs, const struct vh_managed *managed, bool replace,
                               VhAnswerFunc func, gpointer data);
/* Why a program was refused, with the verifier's log. g_free() it. */
/* `fresh`, copied, takes the place of `*text`, of which it may be a part. */
void vh_programs_set_text(char **text, const char *fresh);
char *vh_answer_text(const char *text, const char *log);

/* trouble.c */
/* The program is not tried again in the guest that runs now. */
void vh_programs_refuse(VhPrograms *programs, struct vh_managed *managed, const char *why);
/* A load that began at `since` has not been answered, and the session has ended. */
void vh_programs_note_stuck(VhPrograms *programs, struct vh_managed *managed, gint64 since);

/* wanted.c */
void vh_wish_clear(gpointer data);
/* What a request is under way for stays as it is until that has ended: then this is to be called
 * again. */
void vh_programs_apply_wishes(VhPrograms *programs);
