/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One step of the journal, as it waits to be written, and as it is written. */
#pragma once

#include <glib.h>

struct vh_step {
    gint64 time;      /* us since 1970, for people */
    gint64 monotonic; /* us, for order: no clock that is set moves it */
    char *guest, *what, *why, *before, *after;
    gsize size; /* bytes of its line, about */
    gint *room; /* of the journal's, which it takes from; NULL: none */
};

/* Of now. All texts are copied, at most VH_JOURNAL_TEXT bytes of each; NULL for none. */
struct vh_step *vh_step_new(const char *guest, const char *what, const char *why,
                            const char *before, const char *after);
void vh_step_free(gpointer step);

/* Its line of JSON, with a newline. `dropped`: how many lines it stands for; 0: it is one itself.
 * g_free() it. */
char *vh_step_line(const struct vh_step *step, int dropped);

/* The same for journalctl, field by field. */
void vh_step_tell_systemd(const struct vh_step *step);
