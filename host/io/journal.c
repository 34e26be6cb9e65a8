// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the journal from a thread of its own.
#include "io/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* the line that calls sd_journal_sendv says nothing */
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/json-text.h"
#include "base/printable.h"
#include "io/service.h"

#define RETRY_US (G_USEC_PER_SEC / 2)
#define STEP_SIZE 128                 /* of a line without its texts, about */
#define CLOSE_US (3 * G_USEC_PER_SEC) /* for the last lines */

/* One step, or, without `what`, the service manager's status line; without `why` either, the
 * thread's end. */
struct step {
    gint64 time;      /* us since 1970, for people */
    gint64 monotonic; /* us, for order: no clock that is set moves it */
    char *guest, *what, *why, *before, *after;
    gsize size; /* bytes of its line, about */
    gint *room; /* of the journal's, which it takes from; NULL: none */
};

struct VhJournal {
    GAsyncQueue *queue; /* struct step */
    GAsyncQueue *ended; /* gets something once the thread has */
    bool tells_systemd;
    GThread *thread;
    char *path;
    int fd;
    bool torn;                        /* the file may end in the middle of a line */
    gint64 last_time, last_monotonic; /* of the step before, written or lost; the order of lines is
                                         that of times */
    gint steps, talk;                 /* bytes that wait: steps, what guests cause; atomic */
    int error;                        /* errno of the last loss; 0: the queue was full */
    gint dropped;                     /* since the journal last told; atomic */
    gint lost;                        /* in all; atomic */
};

static void note_lost(VhJournal *journal)
{
    g_atomic_int_inc(&journal->dropped);
    g_atomic_int_inc(&journal->lost);
}

guint64 vh_journal_dropped(const VhJournal *journal)
{
    return journal ? (guint64)g_atomic_int_get(&journal->lost) : 0;
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* Goes on in the file that is at the path now, whoever has put it there. */
static void reopen(VhJournal *journal)
{
    int fd = open_file(journal->path);

    if (fd < 0)
        return;
    close(journal->fd);
    journal->fd = fd;
    journal->torn = false;
}

/* Has somebody moved or removed the file? Has it grown too large? What was truncated is found out
 * by its size. */
static void look_after(VhJournal *journal)
{
    struct stat ours;
    struct stat theirs;

    if (fstat(journal->fd, &ours) < 0)
        return;
    if (stat(journal->path, &theirs) < 0 || theirs.st_ino != ours.st_ino ||
        theirs.st_dev != ours.st_dev) {
        reopen(journal);
    } else if (ours.st_size > VH_JOURNAL_SIZE) {
        g_autofree char *old = g_strconcat(journal->path, ".1", NULL);

        if (g_rename(journal->path, old) == 0)
            reopen(journal);
    }
}

/* Takes a line back of which only `written` bytes had room. */
static void take_back(VhJournal *journal, size_t written)
{
    struct stat st;

    journal->torn = written && (fstat(journal->fd, &st) < 0 || st.st_size < (off_t)written ||
                                ftruncate(journal->fd, st.st_size - (off_t)written) < 0);
}

/* All of the line or, told by false, nothing of it. */
static bool write_line(VhJournal *journal, const char *line)
{
    size_t len = strlen(line);
    size_t written = 0;

    look_after(journal);
    if (journal->torn && write(journal->fd, "\n", 1) == 1)
        journal->torn = false;
    while (written < len) {
        ssize_t done = write(journal->fd, line + written, len - written);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            journal->error = errno;
            take_back(journal, written);
            return false;
        }
        written += (size_t)done;
    }
    return true;
}

static void step_free(gpointer data)
{
    struct step *step = data;

    g_free(step->guest);
    g_free(step->what);
    g_free(step->why);
    g_free(step->before);
    g_free(step->after);
    g_free(step);
}

static void append_field(GString *line, const char *name, const char *value)
{
    if (!value)
        return;
    g_string_append_printf(line, ",\"%s\":", name);
    vh_json_append_string(line, value, -1);
}

static void append_times(GString *line, gint64 time, gint64 monotonic)
{
    g_string_append_printf(
        line, "{\"time\":%" G_GINT64_FORMAT ".%06d,\"monotonic\":%" G_GINT64_FORMAT ".%06d",
        time / G_USEC_PER_SEC, (int)(time % G_USEC_PER_SEC), monotonic / G_USEC_PER_SEC,
        (int)(monotonic % G_USEC_PER_SEC));
}

static void write_step(VhJournal *journal, const struct step *step)
{
    g_autoptr(GString) line = g_string_sized_new(192);

    journal->last_time = step->time;
    journal->last_monotonic = step->monotonic;
    append_times(line, step->time, step->monotonic);
    append_field(line, "guest", *step->guest ? step->guest : NULL);
    append_field(line, "what", step->what);
    append_field(line, "why", step->why);
    append_field(line, "before", step->before);
    append_field(line, "after", step->after);
    g_string_append(line, "}\n");
    if (!write_line(journal, line->str))
        note_lost(journal);
}

/* Says how many lines were lost where they would have been; if that cannot be written either, they
 * stay counted.
 */
static void tell_dropped(VhJournal *journal)
{
    int dropped = g_atomic_int_get(&journal->dropped);
    g_autoptr(GString) line = NULL;
    g_autofree char *why = NULL;

    if (!dropped)
        return;
    line = g_string_new(NULL);
    why = g_strdup_printf("%d lines were lost: %s", dropped,
                          journal->error ? g_strerror(journal->error) : "the disk was too slow");
    append_times(line, journal->last_time, journal->last_monotonic);
    append_field(line, "what", "journal");
    append_field(line, "why", why);
    g_string_append_printf(line, ",\"dropped\":%d}\n", dropped);
    if (!write_line(journal, line->str))
        return;
    journal->error = 0;
    g_atomic_int_add(&journal->dropped, -dropped);
}

static void add_systemd(GArray *fields, GPtrArray *texts, const char *name, const char *value)
{
    g_autofree char *printable = value ? vh_text_printable(value, false) : NULL;
    char *text = value ? g_strconcat(name, "=", printable, NULL) : NULL;
    struct iovec field = {text, text ? strlen(text) : 0};

    if (!text)
        return;
    g_ptr_array_add(texts, text);
    g_array_append_val(fields, field);
}

/* The same for journalctl, field by field. */
static void tell_systemd(const struct step *step)
{
    g_autoptr(GArray) fields = g_array_new(FALSE, FALSE, sizeof(struct iovec));
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *message =
        g_strdup_printf("%s%s%s: %s", step->guest, *step->guest ? ": " : "", step->what, step->why);

    add_systemd(fields, texts, "MESSAGE", message);
    add_systemd(fields, texts, "PRIORITY", "6");
    add_systemd(fields, texts, "SYSLOG_IDENTIFIER", "vhintd");
    add_systemd(fields, texts, "VHINT_GUEST", *step->guest ? step->guest : NULL);
    add_systemd(fields, texts, "VHINT_WHAT", step->what);
    add_systemd(fields, texts, "VHINT_WHY", step->why);
    add_systemd(fields, texts, "VHINT_BEFORE", step->before);
    add_systemd(fields, texts, "VHINT_AFTER", step->after);
    sd_journal_sendv((const struct iovec *)(gpointer)fields->data, (int)fields->len);
}

/* Returns whether it was the last. */
static bool take_step(VhJournal *journal, struct step *step)
{
    bool last = !step->what && !step->why;

    tell_dropped(journal);
    if (step->what) {
        write_step(journal, step);
        if (journal->tells_systemd)
            tell_systemd(step);
    } else if (!last) {
        vh_service_status(step->why);
    }
    if (step->room)
        g_atomic_int_add(step->room, -(gint)step->size);
    step_free(step);
    return last;
}

/* While lines are lost it looks by itself whether there is room again. */
static gpointer writer(gpointer data)
{
    VhJournal *journal = data;
    bool last = false;

    while (!last) {
        struct step *step = g_atomic_int_get(&journal->dropped)
                                ? g_async_queue_timeout_pop(journal->queue, RETRY_US)
                                : g_async_queue_pop(journal->queue);

        if (step)
            last = take_step(journal, step);
        else
            tell_dropped(journal);
    }
    g_async_queue_push(journal->ended, journal);
    return NULL;
}

VhJournal *vh_journal_new(const char *path, GError **error)
{
    VhJournal *journal = NULL;
    int fd = open_file(path);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "journal %s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    journal = g_new0(VhJournal, 1);
    journal->queue = g_async_queue_new_full(step_free);
    journal->ended = g_async_queue_new();
    journal->path = g_strdup(path);
    journal->fd = fd;
    /* Set where the service manager has given us its journal for stderr. */
    journal->tells_systemd = g_getenv("JOURNAL_STREAM") != NULL;
    journal->thread = g_thread_new("journal", writer, journal);
    return journal;
}

void vh_journal_free(VhJournal *journal)
{
    if (!journal)
        return;
    g_async_queue_push(journal->queue, g_new0(struct step, 1));
    if (!g_async_queue_timeout_pop(journal->ended, CLOSE_US)) {
        /* The one that is being written, and those that wait but the last, which is the end. What
         * the thread still uses stays; the process ends soon. */
        g_warning("journal %s: the disk does not answer: %d lines are not written", journal->path,
                  MAX(g_async_queue_length(journal->queue), 1) +
                      g_atomic_int_get(&journal->dropped));
        g_thread_unref(journal->thread);
        return;
    }
    g_thread_join(journal->thread);
    g_async_queue_unref(journal->queue);
    g_async_queue_unref(journal->ended);
    close(journal->fd);
    g_free(journal->path);
    g_free(journal);
}

/* ---- what is to be written ---- */

static struct step *step_new(const char *guest, const char *what, const char *why,
                             const char *before, const char *after)
{
    struct step *step = g_new0(struct step, 1);

    step->time = g_get_real_time();
    step->monotonic = g_get_monotonic_time();
    step->guest = vh_json_cut(guest, VH_JOURNAL_TEXT);
    step->what = vh_json_cut(what, VH_JOURNAL_TEXT);
    step->why = vh_json_cut(why, VH_JOURNAL_TEXT);
    step->before = vh_json_cut(before, VH_JOURNAL_TEXT);
    step->after = vh_json_cut(after, VH_JOURNAL_TEXT);
    step->size = STEP_SIZE + vh_json_text_size(step->guest) + vh_json_text_size(step->what) +
                 vh_json_text_size(step->why) + vh_json_text_size(step->before) +
                 vh_json_text_size(step->after);
    return step;
}

/* Whoever was there first has the room. Returns whether there was any. */
static bool push(VhJournal *journal, struct step *step, bool talk)
{
    gint size = (gint)step->size;
    gint room = talk ? VH_JOURNAL_TALK : VH_JOURNAL_QUEUE;

    step->room = talk ? &journal->talk : &journal->steps;
    if (g_atomic_int_add(step->room, size) + size <= room) {
        g_async_queue_push(journal->queue, step);
        return true;
    }
    g_atomic_int_add(step->room, -size);
    step_free(step);
    return false;
}

void vh_journal_step(VhJournal *journal, const char *guest, const char *what, const char *why,
                     const char *before, const char *after)
{
    if (journal && !push(journal, step_new(guest, what, why, before, after), false))
        note_lost(journal);
}

void vh_journal_status(VhJournal *journal, const char *text)
{
    if (journal)
        push(journal, step_new(NULL, NULL, text, NULL, NULL), true);
}

/* ---- what guests cause ---- */

/* May one more line pass now? */
static bool admit(struct vh_journal_limit *limit, gint64 now)
{
    gint64 second = now / G_USEC_PER_SEC;

    limit->left = limit->filled ? limit->left + (double)(now - limit->filled) * VH_JOURNAL_RATE /
                                                    G_USEC_PER_SEC
                                : VH_JOURNAL_SHARE;
    limit->left = MIN(limit->left, VH_JOURNAL_SHARE);
    limit->filled = now;
    if (second != limit->second) {
        limit->second = second;
        limit->passed = 0;
    }
    limit->shut = limit->left <= 0 || (limit->shut && limit->left < VH_JOURNAL_SHARE / 4);
    if (limit->shut || limit->passed >= VH_JOURNAL_BURST) {
        limit->held_back++;
        return false;
    }
    limit->passed++;
    return true;
}

static void spend(VhJournal *journal, struct vh_journal_limit *limit, struct step *step)
{
    limit->left -= (double)step->size;
    if (!push(journal, step, true))
        note_lost(journal);
}

void vh_journal_talk(VhJournal *journal, struct vh_journal_limit *limit, const char *guest,
                     const char *what, const char *why, const char *before, const char *after)
{
    if (!journal || !admit(limit, g_get_monotonic_time()))
        return;
    if (limit->held_back) {
        g_autofree char *text = g_strdup_printf(
            "%" G_GUINT64_FORMAT " lines were left out: the guest causes more of them than its "
            "share of the journal",
            limit->held_back);

        limit->held_back = 0;
        spend(journal, limit, step_new(guest, "complaints", text, NULL, NULL));
    }
    spend(journal, limit, step_new(guest, what, why, before, after));
}
