// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the journal from a thread of its own.
#include "io/journal.h"

#include "io/lines.h"
#include "io/service.h"
#include "io/step.h"

#define RETRY_US (G_USEC_PER_SEC / 2)
#define CLOSE_US (3 * G_USEC_PER_SEC) /* for the last lines */

#define LEFT_OUT "steps" /* the step that tells how many were */

static const struct vh_share_size steps_size = {VH_JOURNAL_STEPS_SHARE, VH_JOURNAL_STEPS_RATE};

struct VhJournal {
    GAsyncQueue *queue; /* struct vh_step; without `what`, the service manager's status line;
                           without `why` either, a call to look at the shares; without `guest`
                           either, the thread's end */
    GAsyncQueue *ended; /* gets something once the thread has */
    bool tells_systemd;
    GThread *thread;
    char *path;
    VhLines *lines;
    gint64 last_time, last_monotonic; /* of the step before, written or lost; the order of lines is
                                         that of times */
    GMutex lock;
    GHashTable *shares; /* guest -> struct vh_share, of steps; under `lock` */
    guint owing;        /* of which so many have something to be told; likewise */
    gint steps, talk;   /* bytes that wait: steps, what guests cause; atomic */
    int error;          /* errno of the last loss; 0: the queue was full */
    gint dropped;       /* since the journal last told; atomic */
    gint lost;          /* in all; atomic */
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

static bool write_line(VhJournal *journal, const char *line)
{
    int result = vh_lines_write(journal->lines, line);

    if (result < 0)
        journal->error = -result;
    return result == 0;
}

static void write_step(VhJournal *journal, const struct vh_step *step)
{
    g_autofree char *line = vh_step_line(step, 0);

    journal->last_time = step->time;
    journal->last_monotonic = step->monotonic;
    if (!write_line(journal, line))
        note_lost(journal);
}

/* Says how many lines were lost where they would have been; if that cannot be written either, they
 * stay counted.
 */
static void tell_dropped(VhJournal *journal)
{
    int dropped = g_atomic_int_get(&journal->dropped);
    g_autofree char *line = NULL;
    g_autofree char *why = NULL;

    if (!dropped)
        return;
    why = g_strdup_printf("%d lines were lost: %s", dropped,
                          journal->error ? g_strerror(journal->error) : "the disk was too slow");
    line = vh_step_line(&(struct vh_step){.time = journal->last_time,
                                          .monotonic = journal->last_monotonic,
                                          .what = (char *)"journal",
                                          .why = why},
                        dropped);
    if (!write_line(journal, line))
        return;
    journal->error = 0;
    g_atomic_int_add(&journal->dropped, -dropped);
}

static void tell(VhJournal *journal, const struct vh_step *step)
{
    write_step(journal, step);
    if (journal->tells_systemd)
        vh_step_tell_systemd(step);
}

static guint64 take_held_back(VhJournal *journal, struct vh_share *share)
{
    guint64 count = share->held_back;

    journal->owing--;
    share->held_back = 0;
    return count;
}

static char *left_out_text(const char *what, guint64 count)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT
                           " %s were left out: the guest causes more of them than its share of the "
                           "journal",
                           count, what);
}

/* Takes what is to be told of the shares that are open again, or of all: name and text in turn.
 * `*wait` is after how many microseconds there will be more to tell; -1: there will not. */
static GPtrArray *take_left_out(VhJournal *journal, bool all, gint64 *wait)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&journal->lock);
    GPtrArray *told = g_ptr_array_new_with_free_func(g_free);
    gint64 now = g_get_monotonic_time();
    GHashTableIter iter;
    gpointer name = NULL;
    gpointer value = NULL;

    *wait = -1;
    g_hash_table_iter_init(&iter, journal->shares);
    while (journal->owing && g_hash_table_iter_next(&iter, &name, &value)) {
        struct vh_share *share = value;
        gint64 its = all ? 0 : vh_share_opens(share, &steps_size, now) - now;

        if (share->held_back && its > 0)
            *wait = *wait < 0 ? its : MIN(*wait, its);
        if (!share->held_back || its > 0)
            continue;
        g_ptr_array_add(told, g_strdup(name));
        g_ptr_array_add(told, left_out_text("steps", take_held_back(journal, share)));
    }
    return told;
}

/* Says it where it would have been. Returns `wait`. */
static gint64 tell_left_out(VhJournal *journal, bool all)
{
    gint64 wait = -1;
    g_autoptr(GPtrArray) told = take_left_out(journal, all, &wait);

    for (guint i = 0; i < told->len; i += 2)
        tell(journal, &(struct vh_step){.time = journal->last_time,
                                        .monotonic = journal->last_monotonic,
                                        .guest = g_ptr_array_index(told, i),
                                        .what = (char *)LEFT_OUT,
                                        .why = g_ptr_array_index(told, i + 1)});
    return wait;
}

/* Returns whether it was the last. */
static bool take_step(VhJournal *journal, struct vh_step *step)
{
    bool last = !step->guest && !step->what && !step->why;

    tell_dropped(journal);
    if (step->what)
        tell(journal, step);
    else if (step->why)
        vh_service_status(step->why);
    if (step->room)
        g_atomic_int_add(step->room, -(gint)step->size);
    vh_step_free(step);
    return last;
}

/* While lines are lost it looks by itself whether there is room again, and while steps are left out
 * whether there is room for these. */
static gpointer writer(gpointer data)
{
    VhJournal *journal = data;
    gint64 wait = -1;
    bool last = false;

    while (!last) {
        struct vh_step *step = NULL;

        if (g_atomic_int_get(&journal->dropped))
            wait = wait < 0 ? RETRY_US : MIN(wait, RETRY_US);
        step = wait < 0 ? g_async_queue_pop(journal->queue)
                        : g_async_queue_timeout_pop(journal->queue, (guint64)wait);
        if (step)
            last = take_step(journal, step);
        else
            tell_dropped(journal);
        wait = tell_left_out(journal, last);
    }
    g_async_queue_push(journal->ended, journal);
    return NULL;
}

VhJournal *vh_journal_new(const char *path, GError **error)
{
    VhLines *lines = vh_lines_open(path, VH_JOURNAL_SIZE, error);
    VhJournal *journal = NULL;

    if (!lines) {
        g_prefix_error(error, "journal ");
        return NULL;
    }
    journal = g_new0(VhJournal, 1);
    journal->lines = lines;
    journal->path = g_strdup(path);
    journal->queue = g_async_queue_new_full(vh_step_free);
    journal->ended = g_async_queue_new();
    journal->shares = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_mutex_init(&journal->lock);
    /* Set where the service manager has given us its journal for stderr. */
    journal->tells_systemd = g_getenv("JOURNAL_STREAM") != NULL;
    journal->thread = g_thread_new("journal", writer, journal);
    return journal;
}

void vh_journal_free(VhJournal *journal)
{
    if (!journal)
        return;
    g_async_queue_push(journal->queue, g_new0(struct vh_step, 1));
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
    g_hash_table_unref(journal->shares);
    g_mutex_clear(&journal->lock);
    vh_lines_close(journal->lines);
    g_free(journal->path);
    g_free(journal);
}

/* ---- what is to be written ---- */

/* Whoever was there first has the room. Returns whether there was any. */
static bool push(VhJournal *journal, struct vh_step *step, bool talk)
{
    gint size = (gint)step->size;
    gint room = talk ? VH_JOURNAL_TALK : VH_JOURNAL_QUEUE;

    step->room = talk ? &journal->talk : &journal->steps;
    if (g_atomic_int_add(step->room, size) + size <= room) {
        g_async_queue_push(journal->queue, step);
        return true;
    }
    g_atomic_int_add(step->room, -size);
    vh_step_free(step);
    return false;
}

void vh_journal_step(VhJournal *journal, const char *guest, const char *what, const char *why,
                     const char *before, const char *after)
{
    if (journal && !push(journal, vh_step_new(guest, what, why, before, after), false))
        note_lost(journal);
}

void vh_journal_status(VhJournal *journal, const char *text)
{
    if (journal)
        push(journal, vh_step_new(NULL, NULL, text, NULL, NULL), true);
}

/* ---- what guests cause ---- */

static const struct vh_share_size talk_size = {VH_JOURNAL_SHARE, VH_JOURNAL_RATE};

/* May one more line pass now? */
static bool admit(struct vh_journal_limit *limit, gint64 now)
{
    gint64 second = now / G_USEC_PER_SEC;
    bool open = vh_share_open(&limit->share, &talk_size, now);

    if (second != limit->second) {
        limit->second = second;
        limit->passed = 0;
    }
    if (!open || limit->passed >= VH_JOURNAL_BURST) {
        limit->share.held_back++;
        return false;
    }
    limit->passed++;
    return true;
}

static void spend(VhJournal *journal, struct vh_share *share, struct vh_step *step, bool talk)
{
    share->left -= (double)step->size;
    if (!push(journal, step, talk))
        note_lost(journal);
}

void vh_journal_talk(VhJournal *journal, struct vh_journal_limit *limit, const char *guest,
                     const char *what, const char *why, const char *before, const char *after)
{
    struct vh_share *share = &limit->share;

    if (!journal || !admit(limit, g_get_monotonic_time()))
        return;
    if (share->held_back) {
        g_autofree char *text = left_out_text("lines", share->held_back);

        share->held_back = 0;
        spend(journal, share, vh_step_new(guest, "complaints", text, NULL, NULL), true);
    }
    spend(journal, share, vh_step_new(guest, what, why, before, after), true);
}

/* The guest's share of steps, made if it has none. Those that are as good as new are not kept. */
static struct vh_share *share_of(VhJournal *journal, const char *guest, gint64 now)
{
    struct vh_share *share = g_hash_table_lookup(journal->shares, guest);
    GHashTableIter iter;
    gpointer known = NULL;

    if (share)
        return share;
    g_hash_table_iter_init(&iter, journal->shares);
    while (g_hash_table_iter_next(&iter, NULL, &known))
        if (vh_share_idle(known, &steps_size, now))
            g_hash_table_iter_remove(&iter);
    share = g_new0(struct vh_share, 1);
    g_hash_table_insert(journal->shares, g_strdup(guest), share);
    return share;
}

void vh_journal_change(VhJournal *journal, const char *guest, const char *what, const char *why,
                       const char *before, const char *after)
{
    gint64 now = g_get_monotonic_time();
    struct vh_share *share = NULL;
    g_autoptr(GMutexLocker) locker = NULL;

    if (!journal)
        return;
    locker = g_mutex_locker_new(&journal->lock);
    share = share_of(journal, guest, now);
    if (!vh_share_open(share, &steps_size, now)) {
        /* The thread wakes up to tell of it in time. */
        if (!share->held_back++) {
            journal->owing++;
            push(journal, vh_step_new("", NULL, NULL, NULL, NULL), false);
        }
        return;
    }
    if (share->held_back) {
        g_autofree char *text = left_out_text("steps", take_held_back(journal, share));

        spend(journal, share, vh_step_new(guest, LEFT_OUT, text, NULL, NULL), false);
    }
    spend(journal, share, vh_step_new(guest, what, why, before, after), false);
}
