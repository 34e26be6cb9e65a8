// SPDX-License-Identifier: GPL-2.0-or-later
// Makes the journal's steps, and writes them for its readers.
#include "io/step.h"

#include <string.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* the line that calls sd_journal_sendv says nothing */
#include <systemd/sd-journal.h>

#include "base/json-text.h"
#include "base/printable.h"
#include "io/journal.h"

#define STEP_SIZE 128 /* of a line without its texts, about */

struct vh_step *vh_step_new(const char *guest, const char *what, const char *why,
                            const char *before, const char *after)
{
    struct vh_step *step = g_new0(struct vh_step, 1);

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

void vh_step_free(gpointer data)
{
    struct vh_step *step = data;

    g_free(step->guest);
    g_free(step->what);
    g_free(step->why);
    g_free(step->before);
    g_free(step->after);
    g_free(step);
}

static void append_time(GString *line, const char *name, gint64 us)
{
    g_string_append_printf(line, "%c\"%s\":%" G_GINT64_FORMAT ".%06d", line->len ? ',' : '{', name,
                           us / G_USEC_PER_SEC, (int)(us % G_USEC_PER_SEC));
}

static void append_field(GString *line, const char *name, const char *value)
{
    if (!value)
        return;
    g_string_append_printf(line, ",\"%s\":", name);
    vh_json_append_string(line, value, -1);
}

char *vh_step_line(const struct vh_step *step, int dropped)
{
    GString *line = g_string_sized_new(192);

    append_time(line, "time", step->time);
    append_time(line, "monotonic", step->monotonic);
    append_field(line, "guest", step->guest && *step->guest ? step->guest : NULL);
    append_field(line, "what", step->what);
    append_field(line, "why", step->why);
    append_field(line, "before", step->before);
    append_field(line, "after", step->after);
    if (dropped)
        g_string_append_printf(line, ",\"dropped\":%d", dropped);
    g_string_append(line, "}\n");
    return g_string_free(line, FALSE);
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

void vh_step_tell_systemd(const struct vh_step *step)
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
