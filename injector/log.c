// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps what libbpf says: see log.h.
#include "log.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* libbpf calls its printer without a context, in the thread that has called it: the one variable of
 * this program that is not in main's. */
static _Thread_local struct vh_log *current;

/* Appends, keeping the last VH_LOG_MAX bytes. */
static void append(struct vh_log *log, const char *text, size_t len)
{
    size_t drop;

    if (!log->bytes)
        log->bytes = malloc(VH_LOG_MAX);
    if (!log->bytes)
        return;
    if (len > VH_LOG_MAX) {
        text += len - VH_LOG_MAX;
        len = VH_LOG_MAX;
        log->cut = true;
    }
    if (log->len + len > VH_LOG_MAX) {
        drop = log->len + len - VH_LOG_MAX;
        memmove(log->bytes, log->bytes + drop, log->len - drop);
        log->len -= drop;
        log->cut = true;
    }
    memcpy(log->bytes + log->len, text, len);
    log->len += len;
}

static __attribute__((format(printf, 2, 0))) int collect(enum libbpf_print_level level,
                                                         const char *format, va_list args)
{
    static const char prefix[] = "libbpf: ";
    vh_autofree char *text = NULL;
    const char *line;
    int len;

    if (level != LIBBPF_WARN || !current)
        return 0;
    len = vasprintf(&text, format, args);
    if (len < 0) {
        text = NULL;
        return 0;
    }
    append(current, text, (size_t)len);
    line = strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
    if (!current->first[0])
        snprintf(current->first, sizeof(current->first), "%.*s", (int)strcspn(line, "\n"), line);
    return len;
}

void vh_log_begin(struct vh_log *log)
{
    *log = (struct vh_log){0};
    current = log;
    libbpf_set_print(collect);
}

void vh_log_end(void)
{
    current = NULL;
}

void vh_log_free(struct vh_log *log)
{
    free(log->bytes);
    *log = (struct vh_log){0};
}
