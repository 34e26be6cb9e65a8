// SPDX-License-Identifier: GPL-2.0-or-later
// The thread in which vhintctl top asks the daemon, so that one that does not answer holds up
// nobody's keys.
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctl/top.h"

/* What is asked for, and then told. */
struct look {
    const struct vh_top_sample *before;
    bool last; /* the thread is to end */
    struct vh_top_sample *sample;
    char *problem;
};

struct VhTopLooker {
    struct vh_ctl *ctl;
    GThread *thread;
    GAsyncQueue *asked, *told; /* struct look */
    int event;                 /* has a count once something is told */
    bool failed;               /* the last time; the thread's own */
};

static void take(VhTopLooker *looker, struct look *look)
{
    struct vh_ctl *ctl = looker->ctl;
    g_autoptr(GError) error = NULL;

    if (looker->failed)
        g_clear_object(&ctl->connection);
    if (ctl->connection || vh_ctl_connect(ctl, &error) == 0)
        look->sample = vh_top_sample(ctl, look->before, &error);
    looker->failed = !look->sample;
    if (looker->failed)
        look->problem = vh_text_printable(error->message, false);
}

static gpointer run(gpointer data)
{
    VhTopLooker *looker = data;
    const uint64_t one = 1;

    for (;;) {
        struct look *look = g_async_queue_pop(looker->asked);
        bool last = look->last;

        if (!last)
            take(looker, look);
        g_async_queue_push(looker->told, look);
        if (write(looker->event, &one, sizeof(one)) < 0)
            g_error("waking up the terminal: %s", g_strerror(errno));
        if (last)
            return NULL;
    }
}

static void look_free(gpointer data)
{
    struct look *look = data;

    vh_top_sample_free(look->sample);
    g_free(look->problem);
    g_free(look);
}

VhTopLooker *vh_top_looker_new(struct vh_ctl *ctl)
{
    VhTopLooker *looker = g_new0(VhTopLooker, 1);

    looker->ctl = ctl;
    ctl->cancellable = g_cancellable_new();
    looker->asked = g_async_queue_new_full(look_free);
    looker->told = g_async_queue_new_full(look_free);
    looker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (looker->event < 0)
        g_error("eventfd: %s", g_strerror(errno));
    looker->thread = g_thread_new("look", run, looker);
    return looker;
}

void vh_top_looker_free(VhTopLooker *looker)
{
    struct look *look = g_new0(struct look, 1);

    look->last = true;
    g_cancellable_cancel(looker->ctl->cancellable);
    g_async_queue_push(looker->asked, look);
    g_thread_join(looker->thread);
    g_clear_object(&looker->ctl->cancellable);
    g_async_queue_unref(looker->asked);
    g_async_queue_unref(looker->told);
    close(looker->event);
    g_free(looker);
}

int vh_top_looker_fd(const VhTopLooker *looker)
{
    return looker->event;
}

void vh_top_looker_ask(VhTopLooker *looker, const struct vh_top_sample *before)
{
    struct look *look = g_new0(struct look, 1);

    look->before = before;
    g_async_queue_push(looker->asked, look);
}

bool vh_top_looker_take(VhTopLooker *looker, struct vh_top_sample **sample, char **problem)
{
    struct look *look = g_async_queue_try_pop(looker->told);
    uint64_t count = 0;

    if (!look)
        return false;
    if (read(looker->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
        g_error("eventfd: %s", g_strerror(errno));
    *sample = g_steal_pointer(&look->sample);
    *problem = g_steal_pointer(&look->problem);
    look_free(look);
    return true;
}
