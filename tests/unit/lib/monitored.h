/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "guest/guest.h"
#include "inventory/maker.h"
#include "qemu/qmp.h"

/* A guest without a channel, whose monitor is the test: it sees what is asked, and answers if and
 * what it likes. */
struct monitored {
    char *directory;
    VhJournal *journal;
    VhPathWatch *watch;
    VhTurn *turn;
    VhScratch *scratch;
    struct vh_config_guest config;
    VhGuest *guest;
    VhQmp *qmp;
    const struct vh_qmp_funcs *funcs; /* of the guest's, for events */
    gpointer data;
    GPtrArray *asked; /* struct question, in their order */
    guint changed;    /* calls */
};

struct question {
    char *command;
    JsonObject *arguments; /* NULL: none */
    VhQmpReply reply;
    gpointer data;
};

void monitored_begin(struct monitored *m);
void monitored_end(struct monitored *m);

/* How many questions of this command wait for an answer. */
guint monitored_count(const struct monitored *m, const char *command);
/* Answers the question at `position` with `result`, taken; NULL: refuses it. */
void monitored_answer_at(struct monitored *m, guint position, JsonNode *result);
/* Answers the first question of `command` with JSON; NULL: refuses it. */
void monitored_answer(struct monitored *m, const char *command, const char *json);
/* The event `name` with an object as details; NULL: none. */
void monitored_event(struct monitored *m, const char *name, const char *json);
