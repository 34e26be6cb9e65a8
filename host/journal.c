// SPDX-License-Identifier: GPL-2.0-or-later
// Writes the journal from a thread of its own.
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct VhJournal {
    GAsyncQueue *queue; /* char *: lines with their newline; "" ends the thread */
    GThread *thread;
    char *path;
    int fd;
    off_t size;
    gint dropped; /* atomic */
};

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
            g_atomic_int_inc(&journal->dropped);
            return;
        }
        line += done;
        len -= (size_t)done;
        journal->size += done;
    }
    if (journal->size > VH_JOURNAL_SIZE)
        reopen(journal);
}

static gpointer writer(gpointer data)
{
    VhJournal *journal = data;

    for (;;) {
        g_autofree char *line = g_async_queue_pop(journal->queue);
        int dropped = g_atomic_int_get(&journal->dropped);

        if (dropped) {
            g_autofree char *told = g_strdup_printf("{\"what\":\"journal\",\"dropped\":%d}\n", dropped);

            g_atomic_int_add(&journal->dropped, -dropped);
            write_line(journal, told);
        }
        if (!*line)
            return NULL;
        write_line(journal, line);
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
    journal->queue = g_async_queue_new_full(g_free);
    journal->path = g_strdup(path);
    journal->fd = fd;
    journal->size = fstat(fd, &st) == 0 ? st.st_size : 0;
    journal->thread = g_thread_new("journal", writer, journal);
    return journal;
}

void vh_journal_free(VhJournal *journal)
{
    if (!journal)
        return;
    g_async_queue_push(journal->queue, g_strdup(""));
    g_thread_join(journal->thread);
    g_async_queue_unref(journal->queue);
    close(journal->fd);
    g_free(journal->path);
    g_free(journal);
}

static void append_field(GString *line, const char *name, const char *value)
{
    g_string_append_printf(line, ",\"%s\":", name);
    vh_json_append_string(line, value, -1);
}

void vh_journal_step(VhJournal *journal, const char *guest, const char *what, const char *why, const char *before,
                     const char *after)
{
    GString *line = NULL;
    gint64 now = g_get_real_time();

    if (!journal)
        return;
    if (g_async_queue_length(journal->queue) > VH_JOURNAL_QUEUE) {
        g_atomic_int_inc(&journal->dropped);
        return;
    }
    line = g_string_sized_new(192);
    g_string_append_printf(line, "{\"time\":%" G_GINT64_FORMAT ".%06d", now / G_USEC_PER_SEC,
                           (int)(now % G_USEC_PER_SEC));
    if (*guest)
        append_field(line, "guest", guest);
    append_field(line, "what", what);
    append_field(line, "why", why);
    if (before)
        append_field(line, "before", before);
    if (after)
        append_field(line, "after", after);
    g_string_append(line, "}\n");
    g_async_queue_push(journal->queue, g_string_free(line, FALSE));
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
