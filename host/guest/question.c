// SPDX-License-Identifier: GPL-2.0-or-later
// Asks a guest's monitor the same thing again, within bounds.
#include "guest/question.h"

static gboolean on_timer(gpointer data)
{
    struct vh_question *question = data;

    question->timer = 0;
    vh_question_ask(question);
    return G_SOURCE_REMOVE;
}

void vh_question_ask(struct vh_question *question)
{
    gint64 gap = MAX(VH_QUESTION_GAP_MS * 1000, VH_QUESTION_REST * question->cost);
    gint64 wait = question->when ? question->when + gap - g_get_monotonic_time() : 0;

    if (question->under_way) {
        question->again = true;
    } else if (question->timer) {
        return;
    } else if (wait > 0) {
        question->timer = g_timeout_add((guint)(wait / 1000) + 1, on_timer, question);
    } else {
        question->under_way = true;
        question->again = false;
        question->ask(question->data);
    }
}

bool vh_question_answered(struct vh_question *question, gint64 cost)
{
    bool again = question->again;

    g_assert(question->under_way);
    question->under_way = question->again = false;
    question->when = g_get_monotonic_time();
    question->cost = cost;
    if (again)
        vh_question_ask(question);
    return !again;
}

void vh_question_drop(struct vh_question *question)
{
    question->again = false;
    question->when = 0;
    g_clear_handle_id(&question->timer, g_source_remove);
}
