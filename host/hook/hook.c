// SPDX-License-Identifier: GPL-2.0-or-later
// vhint-libvirt-hook: tells vhintd what libvirtd is about to do with a guest. For
// /etc/libvirt/hooks/qemu.d/.
//
// libvirtd runs it as `NAME GUEST OPERATION ...` with the domain's XML on stdin, waits for
// its end, and refuses to start the guest if it fails. So it ends with 0 within VH_HOOK_DEADLINE_MS
// whatever happens, by its own counting and by an alarm beside that; it waits for no answer, prints
// nothing (for some operations libvirtd takes stdout for a new XML) and never calls libvirt, which
// would wait for itself. Source: libvirt's hooks documentation.
#include "hook/format.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ms since the start: when reading ends, when sending ends, when the alarm goes off. */
#define READ_END (VH_HOOK_DEADLINE_MS / 2)
#define SEND_END (VH_HOOK_DEADLINE_MS - 10)
#define ALARM_AT (VH_HOOK_DEADLINE_MS - 5)
#define RETRY_MS 2 /* between two tries to connect while the daemon's queue is full */

static char xml[VH_HOOK_XML_MAX + 1]; /* one byte more tells that there is more */

static void on_alarm(int signal)
{
    (void)signal;
    _exit(0);
}

static void set_alarm(void)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval timer = {.it_value.tv_usec = ALARM_AT * 1000};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until `fd` is ready or `deadline` has passed; false: not ready. */
static bool wait_fd(int fd, short events, long deadline)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        long left = deadline - now_ms();
        int n = left <= 0 ? 0 : poll(&p, 1, (int)left);

        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

/* Reads stdin to its end into `xml`; what is too long or too late is left out and flagged. */
static uint32_t read_xml(long deadline, uint32_t *flags)
{
    uint32_t len = 0;

    while (len < sizeof(xml)) {
        bool ready = wait_fd(STDIN_FILENO, POLLIN, deadline);
        ssize_t n = ready ? read(STDIN_FILENO, xml + len, sizeof(xml) - len) : -1;

        if (n == 0)
            return len;
        if (ready && n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0) {
            *flags |= VH_HOOK_XML_TOO_LATE;
            return 0;
        }
        len += (uint32_t)n;
    }
    *flags |= VH_HOOK_XML_TOO_LONG;
    return 0;
}

/* A connected non-blocking socket, or -1. A UNIX socket whose queue is full says EAGAIN at once. */
static int connect_to(const char *path, long deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        if ((errno != EAGAIN && errno != EINTR) || now_ms() + RETRY_MS >= deadline)
            return -1;
        poll(NULL, 0, RETRY_MS);
    }
    return fd;
}

static void send_all(int fd, struct iovec *parts, size_t count, long deadline)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (n < 0) {
            if (!wait_fd(fd, POLLOUT, deadline))
                return;
            continue;
        }
        for (; count > 0 && (size_t)n >= parts->iov_len; parts++, count--)
            n -= (ssize_t)parts->iov_len;
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
}

int main(int argc, char **argv)
{
    long start = now_ms();
    /* libvirtd clears the environment of its hooks: this is for tests. */
    const char *path = getenv("VHINT_HOOK_SOCKET");
    struct vh_hook_header header = {.magic = VH_HOOK_MAGIC};
    struct iovec parts[1 + VH_HOOK_TEXTS + 1] = {{&header, sizeof(header)}};
    int fd;

    set_alarm();
    if (argc < 2)
        return 0;
    for (int i = 0; i < VH_HOOK_TEXTS; i++) {
        char *text = i + 1 < argc ? argv[i + 1] : (char *)"";
        size_t len = strlen(text);

        if (len > VH_HOOK_TEXT_MAX)
            return 0;
        header.text_len[i] = (uint32_t)len;
        parts[1 + i] = (struct iovec){text, len};
    }
    header.xml_len = read_xml(start + READ_END, &header.flags);
    parts[1 + VH_HOOK_TEXTS] = (struct iovec){xml, header.xml_len};
    fd = connect_to(path && path[0] ? path : VH_HOOK_PATH, start + SEND_END);
    if (fd >= 0)
        send_all(fd, parts, sizeof(parts) / sizeof(parts[0]), start + SEND_END);
    return 0;
}
