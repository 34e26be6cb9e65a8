/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A question to a guest's monitor that events give cause for: asked once at a time, and not more
 * often than is of use. A guest, or a QEMU that somebody has taken over, can cause events as fast
 * as it likes, and answers that cost much: the more they cost, the longer the next question
 * waits. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define VH_QUESTION_GAP_MS 20u /* between an answer and the next question, at least */
/* And so many times as long as the answer has kept us busy: a tenth of the time goes to answers. */
#define VH_QUESTION_REST 9u

struct vh_question {
    void (*ask)(gpointer data); /* will call vh_question_answered, once, perhaps at once */
    gpointer data;
    bool under_way;
    bool again;  /* there is new cause since it was asked */
    gint64 when; /* it was answered; monotonic time, us */
    gint64 cost; /* us that the answer has taken */
    guint timer;
};

void vh_question_ask(struct vh_question *question);
/* All that follows from the answer is done, and has taken `cost` us. Also for an answer that is an
 * error. Returns whether it is the last word: no new cause has come since it was asked. */
bool vh_question_answered(struct vh_question *question, gint64 cost);
/* There is nobody to ask any longer. What is under way is still to be answered. */
void vh_question_drop(struct vh_question *question);
