/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "act/saved.h"
#include "io/journal.h"
#include "lib/victim.h"

/* What an actuator needs to act: a file of former states, a journal, and a thread to act upon. */
struct stage {
    char *directory;
    char *path; /* of the former states */
    VhSaved *saved;
    VhJournal *journal;
    struct victim victim;
};

void stage_begin(struct stage *stage);
void stage_end(struct stage *stage);
