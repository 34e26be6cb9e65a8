// SPDX-License-Identifier: GPL-2.0-or-later
// Reads what the kernel's scheduler counts.
#include "machine/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int vh_sample_parse(const char *text, struct vh_run *run)
{
    unsigned long long ran = 0;
    unsigned long long waited = 0;

    if (sscanf(text, "%llu %llu", &ran, &waited) != 2)
        return -1;
    run->ran = ran;
    run->waited = waited;
    return 0;
}

static int read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);
    int number = errno;

    if (fd >= 0)
        close(fd);
    errno = number;
    if (len < 0)
        return -1;
    text[len] = 0;
    return 0;
}

int vh_sample_thread(const char *proc, pid_t thread, struct vh_run *run)
{
    char path[256];
    char text[96];

    g_snprintf(path, sizeof(path), "%s/%d/schedstat", proc, thread);
    return read_text(path, text, sizeof(text)) < 0 ? -1 : vh_sample_parse(text, run);
}

bool vh_sample_is_runnable(const char *proc, pid_t thread)
{
    const char *end = NULL;
    char path[256];
    char text[512];

    g_snprintf(path, sizeof(path), "%s/%d/stat", proc, thread);
    if (read_text(path, text, sizeof(text)) < 0)
        return false;
    end = strrchr(text, ')');
    return end && g_str_has_prefix(end, ") R");
}

const char *vh_sample_missing(const char *proc)
{
    struct vh_run run;
    char path[256];
    char text[96];

    g_snprintf(path, sizeof(path), "%s/self/schedstat", proc);
    if (read_text(path, text, sizeof(text)) < 0)
        return "the host's kernel has no /proc/PID/schedstat (CONFIG_SCHED_INFO), so vhintd cannot "
               "measure";
    /* One that counts nothing is all zeros, though this process has run. */
    if (vh_sample_parse(text, &run) < 0 || run.ran == 0)
        return "the host's /proc/PID/schedstat counts nothing, so vhintd cannot measure";
    return NULL;
}

double vh_sample_share(const struct vh_run *before, const struct vh_run *after)
{
    double ran = (double)after->ran - (double)before->ran;
    double waited = (double)after->waited - (double)before->waited;

    if (ran < 0 || waited < 0 || ran + waited < VH_SAMPLE_DEMAND_NS)
        return NAN;
    return waited / (ran + waited);
}

double vh_sample_load(const char *proc)
{
    char path[256];
    char text[128];
    unsigned running = 0;

    g_snprintf(path, sizeof(path), "%s/loadavg", proc);
    if (read_text(path, text, sizeof(text)) < 0 || sscanf(text, "%*s %*s %*s %u/", &running) != 1)
        return NAN;
    return running;
}

/* ---- the busiest ---- */

struct busy {
    pid_t thread;
    struct vh_run run;
    guint64 wanted; /* between the looks */
};

static pid_t number_of(const char *name)
{
    guint64 value = 0;

    return g_ascii_string_to_unsigned(name, 10, 1, G_MAXINT, &value, NULL) ? (pid_t)value : 0;
}

static void look_process(const char *proc, const char *name, GArray *found)
{
    g_autofree char *path = g_build_filename(proc, name, "task", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *thread = NULL;

    while (dir && (thread = g_dir_read_name(dir)) && found->len < VH_SAMPLE_SCAN_MAX) {
        struct busy busy = {.thread = number_of(thread)};

        if (busy.thread && vh_sample_thread(proc, busy.thread, &busy.run) == 0)
            g_array_append_val(found, busy);
    }
}

static int by_wanted(gconstpointer a, gconstpointer b)
{
    guint64 x = ((const struct busy *)a)->wanted;
    guint64 y = ((const struct busy *)b)->wanted;

    return (x < y) - (x > y);
}

GArray *vh_sample_busiest(const char *proc, gulong gap_us)
{
    GArray *result = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct busy));
    g_autoptr(GDir) dir = g_dir_open(proc, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir)) && found->len < VH_SAMPLE_SCAN_MAX)
        if (number_of(name))
            look_process(proc, name, found);
    g_usleep(gap_us);
    for (guint i = 0; i < found->len; i++) {
        struct busy *busy = &g_array_index(found, struct busy, i);
        struct vh_run now;

        /* It may be another thread's number by now. */
        if (vh_sample_thread(proc, busy->thread, &now) == 0 && now.ran >= busy->run.ran &&
            now.waited >= busy->run.waited)
            busy->wanted = now.ran + now.waited - busy->run.ran - busy->run.waited;
    }
    g_array_sort(found, by_wanted);
    for (guint i = 0; i < found->len && result->len < VH_SAMPLE_BUSIEST_MAX; i++) {
        const struct busy *busy = &g_array_index(found, struct busy, i);

        if (busy->wanted >= VH_SAMPLE_DEMAND_NS)
            g_array_append_val(result, busy->thread);
    }
    return result;
}
