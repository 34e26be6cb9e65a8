// SPDX-License-Identifier: GPL-2.0-or-later
// Looks at one thread of the host.
#include "machine/tid.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "io/descriptors.h"

int vh_tid_open(pid_t thread)
{
    char path[64];

    g_snprintf(path, sizeof(path), "/proc/%d/comm", thread);
    return vh_descriptors_take(open(path, O_RDONLY | O_CLOEXEC));
}

bool vh_tid_alive(int fd)
{
    char byte = 0;

    return pread(fd, &byte, 1, 0) == 1;
}

int vh_tid_read(pid_t thread, const char *file, char *text, size_t size)
{
    char path[64];
    ssize_t len = 0;
    int fd = -1;

    g_snprintf(path, sizeof(path), "/proc/%d/%s", thread, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
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

/* A field, by its number there, of proc(5)'s stat; the name before it is in parentheses and may
 * hold anything. */
static int read_stat(pid_t thread, int number, uint64_t *value)
{
    char text[1024];
    char *at = NULL;
    int result = vh_tid_read(thread, "stat", text, sizeof(text));

    if (result < 0)
        return result;
    at = strrchr(text, ')');
    for (int field = 2; at && field < number; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return -EBADMSG;
    *value = strtoull(at + 1, NULL, 10);
    return 0;
}

int vh_tid_start(pid_t thread, uint64_t *start)
{
    return read_stat(thread, 22, start);
}

int vh_tid_check(pid_t thread, uint64_t start)
{
    uint64_t now = 0;
    int result = vh_tid_start(thread, &now);

    return result == 0 && now != start ? -ESRCH : result;
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

int vh_tid_cpu(pid_t thread)
{
    uint64_t cpu = 0;

    return read_stat(thread, 39, &cpu) < 0 ? -1 : (int)cpu;
}

uint64_t vh_tid_cpu_time(pid_t thread)
{
    uint64_t user = 0;
    uint64_t system = 0;
    char text[128];

    /* A thread's CPU clock (clock_gettime(2)) is for its own process only. */
    if (vh_tid_read(thread, "schedstat", text, sizeof(text)) == 0)
        return strtoull(text, NULL, 10);
    if (read_stat(thread, 14, &user) < 0 || read_stat(thread, 15, &system) < 0)
        return 0;
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
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
