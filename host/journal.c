// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the journal from a thread of its own.
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* the line that calls sd_journal_sendv says nothing */
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "service.h"

/* One step, or, without `what`, the service manager's status line; without `why` either, the thread's end. */
struct step {
    gint64 time; /* us since 1970 */
    char *guest, *what, *why, *before, *after;
};

struct VhJournal {
    GAsyncQueue *queue; /* struct step */
    bool tells_systemd;
    GThread *thread;
    char *path;
    int fd;
    off_t size;
    gint dropped; /* since the journal last told; atomic */
    gint lost;    /* in all; atomic */
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

void vh_json_append_string(GString *out, const char *text, gssize len)
{
    g_autofree char *valid = g_utf8_make_valid(text, len);

    g_string_append_c(out, '"');
    for (const char *at = valid; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", c);
        else if (c == '\n')
            g_string_append(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_c(out, (char)c);
    }
    g_string_append_c(out, '"');
}

static void reopen(VhJournal *journal)
{
    g_autofree char *old = g_strconcat(journal->path, ".1", NULL);
    int fd = -1;

    if (g_rename(journal->path, old) < 0)
        return;
    fd = open(journal->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return;
    close(journal->fd);
    journal->fd = fd;
    journal->size = 0;
}

static void write_line(VhJournal *journal, const char *line)
{
    size_t len = strlen(line);

    while (len) {
        ssize_t done = write(journal->fd, line, len);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            note_lost(journal);
            return;
        }
        line += done;
        len -= (size_t)done;
        journal->size += done;
    }
    if (journal->size > VH_JOURNAL_SIZE)
        reopen(journal);
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

static void write_step(VhJournal *journal, const struct step *step)
{
    g_autoptr(GString) line = g_string_sized_new(192);

    g_string_append_printf(line, "{\"time\":%" G_GINT64_FORMAT ".%06d", step->time / G_USEC_PER_SEC,
                           (int)(step->time % G_USEC_PER_SEC));
    append_field(line, "guest", *step->guest ? step->guest : NULL);
    append_field(line, "what", step->what);
    append_field(line, "why", step->why);
    append_field(line, "before", step->before);
    append_field(line, "after", step->after);
    g_string_append(line, "}\n");
    write_line(journal, line->str);
}

static void add_systemd(GArray *fields, GPtrArray *texts, const char *name, const char *value)
{
    char *text = value ? g_strconcat(name, "=", value, NULL) : NULL;
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

static gpointer writer(gpointer data)
{
    VhJournal *journal = data;

    for (;;) {
        struct step *step = g_async_queue_pop(journal->queue);
        int dropped = g_atomic_int_get(&journal->dropped);
        bool last = !step->what && !step->why;

        if (dropped) {
            g_autofree char *told = g_strdup_printf("{\"what\":\"journal\",\"dropped\":%d}\n", dropped);

            g_atomic_int_add(&journal->dropped, -dropped);
            write_line(journal, told);
        }
        if (step->what) {
            write_step(journal, step);
            if (journal->tells_systemd)
                tell_systemd(step);
        } else if (!last) {
            vh_service_status(step->why);
        }
        step_free(step);
        if (last)
            return NULL;
    }
}

VhJournal *vh_journal_new(const char *path, GError **error)
{
    VhJournal *journal = NULL;
    struct stat st = {0};
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "journal %s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    journal = g_new0(VhJournal, 1);
    journal->queue = g_async_queue_new_full(step_free);
    journal->path = g_strdup(path);
    journal->fd = fd;
    journal->size = fstat(fd, &st) == 0 ? st.st_size : 0;
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
    g_thread_join(journal->thread);
    g_async_queue_unref(journal->queue);
    close(journal->fd);
    g_free(journal->path);
    g_free(journal);
}

void vh_journal_step(VhJournal *journal, const char *guest, const char *what, const char *why, const char *before,
                     const char *after)
{
    struct step *step = NULL;

    if (!journal)
        return;
    if (g_async_queue_length(journal->queue) > VH_JOURNAL_QUEUE) {
        note_lost(journal);
        return;
    }
    step = g_new0(struct step, 1);
    step->time = g_get_real_time();
    step->guest = g_strdup(guest);
    step->what = g_strdup(what);
    step->why = g_strdup(why);
    step->before = g_strdup(before);
    step->after = g_strdup(after);
    g_async_queue_push(journal->queue, step);
}

void vh_journal_status(VhJournal *journal, const char *text)
{
    struct step *step = NULL;

    if (!journal || g_async_queue_length(journal->queue) > VH_JOURNAL_QUEUE)
        return;
    step = g_new0(struct step, 1);
    step->why = g_strdup(text);
    g_async_queue_push(journal->queue, step);
}

void vh_journal_complaint(VhJournal *journal, struct vh_journal_limit *limit, const char *guest, const char *what,
                          const char *why)
{
    gint64 second = g_get_monotonic_time() / G_USEC_PER_SEC;

    if (second != limit->second) {
        if (limit->held_back) {
            g_autofree char *text =
                g_strdup_printf("%" G_GUINT64_FORMAT " complaints in a second were left out", limit->held_back);

            vh_journal_step(journal, guest, "complaints", text, NULL, NULL);
        }
        limit->second = second;
        limit->passed = 0;
        limit->held_back = 0;
    }
    if (limit->passed >= VH_JOURNAL_BURST) {
        limit->held_back++;
        return;
    }
    limit->passed++;
    vh_journal_step(journal, guest, what, why, NULL, NULL);
}
