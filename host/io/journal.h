/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal: one line of JSON per step taken, saying what, why, before and after.
 *
 * A thread of its own writes, so that neither a slow nor a full disk delays the hint path. What
 * waits for it is bounded in bytes: VH_JOURNAL_QUEUE for steps, and VH_JOURNAL_TALK for what guests
 * cause, so that no guest's talk takes the room of a step. When there is no room, or a line cannot
 * be written, lines are lost; how many is told in a line of its own as soon as one can be written
 * again. A text that takes more than VH_JOURNAL_TEXT bytes loses its middle. No line is ever
 * written in part. The file is only appended to: one that somebody truncates is gone on with, one
 * that somebody moves away or removes is begun anew, as is, once it has grown beyond
 * VH_JOURNAL_SIZE bytes, one of ours, after it was renamed to FILE.1. Each line has the time of day
 * for people, and `monotonic` for its order, which no setting of the clock disturbs. Under systemd
 * its journal gets the same steps, as fields VHINT_GUEST, VHINT_WHAT, VHINT_WHY, VHINT_BEFORE and
 * VHINT_AFTER. */
#pragma once

#include "io/share.h"

#define VH_JOURNAL_QUEUE (2u << 20) /* bytes */
#define VH_JOURNAL_TALK (1u << 20)
#define VH_JOURNAL_TEXT 2048u
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

/* Like vh_journal_step, of what is done on the host because of a guest's hints, which may be again
 * and again: within the guest's share of steps. How many steps were left out is told in one line,
 * at the latest when the share is open again. So a guest that changes its wishes as fast as it can
 * needs more than an hour to fill the file, and one that is honest is never cut short. */
#define VH_JOURNAL_STEPS_SHARE 262144 /* bytes */
#define VH_JOURNAL_STEPS_RATE 4096    /* in a second */
void vh_journal_change(VhJournal *journal, const char *guest, const char *what, const char *why,
                       const char *before, const char *after);

/* What one guest may say: VH_JOURNAL_BURST lines in a second, and a share of bytes. So a guest that
 * talks for ever needs many hours to fill the file. All zero: a full one. */
#define VH_JOURNAL_BURST 40u
#define VH_JOURNAL_SHARE 65536
#define VH_JOURNAL_RATE 1024
struct vh_journal_limit {
    gint64 second;
    guint passed;
    struct vh_share share;
};

/* Like vh_journal_step, of what a guest says, within its `limit`; tells how many lines were held
 * back since. */
void vh_journal_talk(VhJournal *journal, struct vh_journal_limit *limit, const char *guest,
                     const char *what, const char *why, const char *before, const char *after);
