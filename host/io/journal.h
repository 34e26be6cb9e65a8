/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal: one line of JSON per step taken, saying what, why, before and after.
 *
 * A thread of its own writes, so that neither a slow nor a full disk delays the hint path. When it
 * falls VH_JOURNAL_QUEUE lines behind, or a line cannot be written, lines are lost; how many is
 * told in a line of its own as soon as one can be written again. No line is ever written in part.
 * The file is only appended to: one that somebody truncates is gone on with, one that somebody
 * moves away or removes is begun anew, as is, once it has grown beyond VH_JOURNAL_SIZE bytes, one
 * of ours, after it was renamed to FILE.1. Each line has the time of day for people, and
 * `monotonic` for its order, which no setting of the clock disturbs. Under systemd its journal gets
 * the same steps, as fields VHINT_GUEST, VHINT_WHAT, VHINT_WHY, VHINT_BEFORE and VHINT_AFTER. */
#pragma once

#include <glib.h>

#define VH_JOURNAL_QUEUE 10000
#define VH_JOURNAL_SIZE (16 << 20)

typedef struct VhJournal VhJournal;

/* Opens `path` for appending. NULL and a G_FILE_ERROR. */
VhJournal *vh_journal_new(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes what is queued, then closes. A disk that does not answer is waited for no longer than
 * three seconds, and how many lines it has cost is a warning. */
void vh_journal_free(VhJournal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhJournal, vh_journal_free)

/* One step. `guest` "" for the daemon itself; `before` and `after` NULL where there is none. All
 * are copied. A NULL journal takes nothing. */
void vh_journal_step(VhJournal *journal, const char *guest, const char *what, const char *why,
                     const char *before, const char *after);

/* Tells the service manager, from the journal's thread, one line for people. Copied. */
void vh_journal_status(VhJournal *journal, const char *text);

/* Lines that were lost so far. */
guint64 vh_journal_dropped(const VhJournal *journal);

/* A bound for lines that a guest can cause: passes at most VH_JOURNAL_BURST per second and guest.
 */
#define VH_JOURNAL_BURST 20
struct vh_journal_limit {
    gint64 second;
    guint passed;
    guint64 held_back;
};

/* Like vh_journal_step without before and after, within `limit`; tells how many lines were held
 * back since. */
void vh_journal_complaint(VhJournal *journal, struct vh_journal_limit *limit, const char *guest,
                          const char *what, const char *why);
