/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/opens.h"

#include <stdalign.h>
#include <sys/inotify.h>
#include <unistd.h>

struct opens opens_of(const char *directory)
{
    struct opens opens = {.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};

    g_assert_cmpint(opens.fd, >=, 0);
    g_assert_cmpint(inotify_add_watch(opens.fd, directory, IN_OPEN), >=, 0);
    return opens;
}

guint opens_count(struct opens *opens, const char *name)
{
    alignas(struct inotify_event) char buffer[4096];
    guint count = 0;
    ssize_t len = 0;

    while ((len = read(opens->fd, buffer, sizeof(buffer))) > 0)
        for (const char *at = buffer; at < buffer + len;) {
            const struct inotify_event *event = (const void *)at;

            g_assert_false(event->mask & IN_Q_OVERFLOW);
            count += g_str_equal(event->len ? event->name : "", name);
            at += sizeof(*event) + event->len;
        }
    return count;
}

void opens_end(struct opens *opens)
{
    close(opens->fd);
}
