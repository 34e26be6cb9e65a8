/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings of hints: files of JSON lines that `vhintctl record` writes and `vhintctl plan
 * --replay` reads. docs/recording.md is the format's reference. */
#pragma once

#include "forecast/forecast.h"

#define VH_RECORDING_VERSION 1
#define VH_RECORDING_LINE_MAX (1u << 20) /* bytes of a line */

enum vh_event_kind {
    VH_EVENT_GUEST,   /* a guest came, or something is different about it */
    VH_EVENT_GONE,    /* it left */
    VH_EVENT_HINT,    /* a hint came */
    VH_EVENT_FACTS,   /* all facts of a guest are void; the next `count` hints are all that hold, at
                         the same time */
    VH_EVENT_DROPPED, /* `count` hints were lost, as the reader was too slow */
};

struct vh_event {
    enum vh_event_kind kind;
    gint64 us;     /* since the recording began; never less than the event's before */
    unsigned line; /* in the file, from 1 */
    struct vh_forecast_guest *guest; /* GUEST */
    char *name;                      /* GONE, FACTS */
    struct vh_forecast_hint hint;    /* HINT: borrows from json */
    guint64 count;                   /* FACTS, DROPPED */
    JsonNode *json;
};

/* `text` (`len` bytes, of any content) as struct vh_event; NULL and VH_ERROR_INVALID_ARGUMENT,
 * "LABEL:LINE: ...".
 */
GPtrArray *vh_recording_read(const char *label, const char *text, gsize len,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Each makes one line, without its newline; g_free() it. */
char *vh_recording_head(const char *host, const char *cpus);
char *vh_recording_guest(gint64 us, const struct vh_forecast_guest *guest);
char *vh_recording_gone(gint64 us, const char *name);
char *vh_recording_facts(gint64 us, const char *name, unsigned count);
/* `json`: a line of the daemon's watch, a hint or {"dropped":N}. */
char *vh_recording_hint(gint64 us, const char *json);
