// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at one thread of the host.
#include "machine/tid.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "io/descriptors.h"

#define FIELDS 39 /* of stat, as far as they are read */

bool vh_tid_alive(int fd)
{
    char byte = 0;

    return pread(fd, &byte, 1, 0) == 1;
}

static int read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = 0;

    if (fd < 0)
        return -errno;
    len = read(fd, text, size - 1);
    if (len < 0)
        len = -errno;
    close(fd);
    if (len < 0)
        return (int)len;
    text[len] = 0;
    return 0;
}

int vh_tid_read(pid_t thread, const char *file, char *text, size_t size)
{
    char path[64];

    g_snprintf(path, sizeof(path), "/proc/%d/%s", thread, file);
    return read_file(path, text, size);
}

/* "NUMBER (NAME) STATE PARENT ...", where the name may hold anything. */
int vh_tid_parse_stat(const char *text, struct vh_tid_stat *stat)
{
    const char *name = strchr(text, '(');
    const char *at = strrchr(text, ')');
    uint64_t fields[FIELDS + 1] = {0};

    if (!name || !at || at < name)
        return -EBADMSG;
    g_strlcpy(stat->name, name + 1, MIN(sizeof(stat->name), (size_t)(at - name)));
    for (int number = 3; number <= FIELDS; number++) {
        at = strchr(at + 1, ' ');
        if (!at)
            return -EBADMSG;
        fields[number] = strtoull(at + 1, NULL, 10);
    }
    stat->parent = (pid_t)fields[4];
    stat->flags = (unsigned)fields[9];
    stat->ticks = fields[14] + fields[15];
    stat->start = fields[22];
    stat->cpu = (int)fields[39];
    return 0;
}

uint64_t vh_tid_ns(uint64_t ticks)
{
    return ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

int vh_tid_stat(const char *proc, pid_t process, pid_t thread, struct vh_tid_stat *stat)
{
    char path[256];
    char text[1024];
    int result = 0;

    g_snprintf(path, sizeof(path), "%s/%d/task/%d/stat", proc, process, thread);
    result = read_file(path, text, sizeof(text));
    return result < 0 ? result : vh_tid_parse_stat(text, stat);
}

int vh_tid_identify(const char *proc, pid_t process, pid_t thread, struct vh_thread_id *id)
{
    struct vh_tid_stat stat;
    int result = vh_tid_stat(proc, process, thread, &stat);

    if (result == 0)
        *id = (struct vh_thread_id){process, thread, stat.start};
    return result;
}

int vh_tid_check(const char *proc, const struct vh_thread_id *id)
{
    struct vh_thread_id now;
    int result = vh_tid_identify(proc, id->process, id->thread, &now);

    return result == 0 && now.start != id->start ? -ESRCH : result;
}

/* The thread that is there after the open, if it is the right one, was there before it, too: so the
 * descriptor is of no other. */
int vh_tid_open(const struct vh_thread_id *id)
{
    char path[64];
    int fd = -1;
    int result = 0;

    g_snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", id->process, id->thread);
    fd = vh_descriptors_take(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return -1;
    result = vh_tid_check("/proc", id);
    if (result == 0)
        return fd;
    close(fd);
    errno = -result;
    return -1;
}

uint64_t vh_tid_now(void)
{
    struct timespec now = {0};
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * ticks + (uint64_t)now.tv_nsec / (1000000000u / ticks);
}

pid_t vh_tid_process(pid_t thread)
{
    char text[4096]; /* it stands near the beginning */
    const char *line = NULL;

    if (vh_tid_read(thread, "status", text, sizeof(text)) < 0)
        return 0;
    line = strstr(text, "\nTgid:");
    return line ? (pid_t)strtol(line + strlen("\nTgid:"), NULL, 10) : 0;
}

/* `thread` of whatever process. */
static int stat_of(pid_t thread, struct vh_tid_stat *stat)
{
    char text[1024];
    int result = vh_tid_read(thread, "stat", text, sizeof(text));

    return result < 0 ? result : vh_tid_parse_stat(text, stat);
}

int vh_tid_cpu(pid_t thread)
{
    struct vh_tid_stat stat;

    return stat_of(thread, &stat) < 0 ? -1 : stat.cpu;
}

uint64_t vh_tid_cpu_time(pid_t thread)
{
    struct vh_tid_stat stat;
    char text[128];

    /* A thread's CPU clock (clock_gettime(2)) is for its own process only. */
    if (vh_tid_read(thread, "schedstat", text, sizeof(text)) == 0)
        return strtoull(text, NULL, 10);
    if (stat_of(thread, &stat) < 0)
        return 0;
    return vh_tid_ns(stat.ticks);
}

int vh_tid_fail(GError **error, int number, const char *what, pid_t thread)
{
    enum vh_error_code code = VH_ERROR_FAILED;
    const char *text = g_strerror(number);

    switch (number) {
    case ESRCH:
    case ENOENT:
        code = VH_ERROR_NOT_CONNECTED;
        text = "the thread is gone";
        break;
    case EINVAL:
        code = VH_ERROR_INVALID_ARGUMENT;
        break;
    case EMFILE:
        code = VH_ERROR_BUSY;
        text = "each thread needs a descriptor, and there are no more: raise LimitNOFILE= of "
               "vhintd's service";
        break;
    default:
        break;
    }
    g_set_error(error, VH_ERROR, code, "thread %d: %s: %s", thread, what, text);
    return -1;
}

bool vh_tid_cpus(pid_t thread, struct vh_cpuset *cpus)
{
    memset(cpus, 0, sizeof(*cpus));
    return sched_getaffinity(thread, sizeof(*cpus), (cpu_set_t *)(void *)cpus) == 0;
}
