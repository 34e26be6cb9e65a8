// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps a thread's files open to read them again.
#include "machine/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/descriptors.h"
#include "machine/tid.h"

static int open_file(const struct vh_thread_id *thread, const char *name)
{
    char path[64];

    g_snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", thread->process, thread->thread, name);
    return vh_descriptors_take(open(path, O_RDONLY | O_CLOEXEC));
}

static bool read_again(int fd, char *text, size_t size)
{
    ssize_t len = pread(fd, text, size - 1, 0);

    if (len <= 0)
        return false;
    text[len] = 0;
    return true;
}

static int read_stat(const struct vh_meter *meter, struct vh_tid_stat *stat)
{
    char text[1024];

    return read_again(meter->stat, text, sizeof(text)) ? vh_tid_parse_stat(text, stat) : -ESRCH;
}

int vh_meter_open(struct vh_meter *meter, const struct vh_thread_id *thread)
{
    struct vh_meter fresh = {.open = true, .schedstat = open_file(thread, "schedstat"), .cpu = -1};
    struct vh_tid_stat stat;
    int result = fresh.schedstat < 0 && errno == EMFILE ? -EMFILE : 0;

    fresh.stat = result < 0 ? -1 : open_file(thread, "stat");
    if (result == 0 && fresh.stat < 0)
        result = -errno;
    if (result == 0)
        result = read_stat(&fresh, &stat);
    if (result == 0 && stat.start != thread->start)
        result = -ESRCH;
    if (result < 0)
        vh_meter_close(&fresh);
    else
        *meter = fresh;
    return result;
}

void vh_meter_close(struct vh_meter *meter)
{
    if (meter->open && meter->schedstat >= 0)
        close(meter->schedstat);
    if (meter->open && meter->stat >= 0)
        close(meter->stat);
    *meter = (struct vh_meter){0};
}

bool vh_meter_read(struct vh_meter *meter)
{
    struct vh_tid_stat stat;
    char text[128];
    guint64 time = 0;

    if (meter->schedstat >= 0) {
        if (!read_again(meter->schedstat, text, sizeof(text)))
            return false;
        time = strtoull(text, NULL, 10);
        if (time == meter->time && meter->cpu >= 0)
            return true;
    }
    if (read_stat(meter, &stat) < 0)
        return false;
    meter->time = meter->schedstat >= 0 ? time : vh_tid_ns(stat.ticks);
    meter->cpu = stat.cpu;
    return true;
}
