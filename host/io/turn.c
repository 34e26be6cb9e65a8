// SPDX-License-Identifier: GPL-2.0-or-later
// Serves ready sockets, the modest ones first.
#include "io/turn.h"

#include <errno.h>
#include <unistd.h>

#define EVENTS 256

struct VhMember {
    VhTurn *turn;
    int fd;
    uint32_t events; /* asked for */
    VhMemberFunc func;
    gpointer data;
    gint64 charged; /* us, as of `at` */
    gint64 at;
};

struct VhTurn {
    int epoll;
    GSource *source;
    VhAlarms *alarms;
    VhTurnEnd end;
    gpointer end_data;
    gint64 soon; /* when an end is due; -1: none is */
    struct epoll_event ready[EVENTS];
    int count; /* of `ready`; a member that has left is NULL there */
    uint8_t buffer[VH_TURN_BUFFER] __attribute__((aligned(8)));
};

struct turn_source {
    GSource source;
    VhTurn *turn;
};

static void fade(VhMember *member, gint64 now)
{
    gint64 halves = (now - member->at) / VH_TURN_HALF_LIFE;

    if (halves <= 0)
        return;
    member->charged = halves < 32 ? member->charged >> halves : 0;
    member->at += halves * VH_TURN_HALF_LIFE;
}

/* Returns the time after it. */
static gint64 serve(struct epoll_event *event, gint64 now)
{
    VhMember *member = event->data.ptr;
    gint64 after = 0;

    member->func(event->events, member->data);
    after = g_get_monotonic_time();
    if (event->data.ptr)
        member->charged += after - now;
    event->data.ptr = NULL;
    return after;
}

static void serve_ready(VhTurn *turn)
{
    gint64 now = g_get_monotonic_time();
    struct epoll_event *least = NULL;

    for (int i = 0; i < turn->count; i++) {
        VhMember *member = turn->ready[i].data.ptr;

        if (!member)
            continue;
        fade(member, now);
        if (member->charged < VH_TURN_HEAVY)
            now = serve(&turn->ready[i], now);
    }
    for (int i = 0; i < turn->count; i++) {
        const VhMember *member = turn->ready[i].data.ptr;

        if (member && (!least || member->charged < ((const VhMember *)least->data.ptr)->charged))
            least = &turn->ready[i];
    }
    if (least)
        serve(least, now);
}

static void tell_end(VhTurn *turn)
{
    turn->soon = -1;
    g_source_set_ready_time(turn->source, -1);
    if (turn->end)
        turn->end(turn->end_data);
}

static gboolean on_ready(GSource *source, GSourceFunc callback, gpointer unused)
{
    VhTurn *turn = ((struct turn_source *)source)->turn;

    (void)callback;
    (void)unused;
    turn->count = epoll_wait(turn->epoll, turn->ready, EVENTS, 0);
    if (turn->count > 0)
        serve_ready(turn);
    turn->count = 0;
    tell_end(turn);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {.dispatch = on_ready};

VhTurn *vh_turn_new(GError **error)
{
    VhTurn *turn = NULL;
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "epoll: %s",
                    g_strerror(errno));
        return NULL;
    }
    turn = g_new0(VhTurn, 1);
    turn->epoll = epoll;
    turn->soon = -1;
    turn->alarms = vh_alarms_new();
    turn->source = g_source_new(&source_funcs, sizeof(struct turn_source));
    ((struct turn_source *)turn->source)->turn = turn;
    g_source_set_name(turn->source, "turn");
    /* It never does recurse; but a source that may is not taken out of the poll set and put back,
     * with a wake-up of the loop each time, around every dispatch. */
    g_source_set_can_recurse(turn->source, TRUE);
    g_source_add_unix_fd(turn->source, epoll, G_IO_IN);
    g_source_attach(turn->source, NULL);
    return turn;
}

void vh_turn_free(VhTurn *turn)
{
    if (!turn)
        return;
    vh_alarms_free(turn->alarms);
    g_source_destroy(turn->source);
    g_source_unref(turn->source);
    close(turn->epoll);
    g_free(turn);
}

void vh_turn_set_end(VhTurn *turn, VhTurnEnd end, gpointer data)
{
    turn->end = end;
    turn->end_data = data;
}

void vh_turn_soon(VhTurn *turn, gint64 when)
{
    if (turn->soon >= 0 && turn->soon <= when)
        return;
    turn->soon = when;
    g_source_set_ready_time(turn->source, when);
}

VhAlarms *vh_turn_alarms(VhTurn *turn)
{
    return turn->alarms;
}

uint8_t *vh_turn_buffer(VhTurn *turn)
{
    return turn->buffer;
}

VhMember *vh_turn_join(VhTurn *turn, int fd, uint32_t events, VhMemberFunc func, gpointer data)
{
    VhMember *member = g_new0(VhMember, 1);
    struct epoll_event event = {.events = events, .data.ptr = member};

    *member = (VhMember){.turn = turn, .fd = fd, .events = events, .func = func, .data = data};
    if (epoll_ctl(turn->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        g_warning("vhintd cannot wait for a socket: %s", g_strerror(errno));
    return member;
}

void vh_member_want(VhMember *member, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = member};

    if (events == member->events)
        return;
    member->events = events;
    epoll_ctl(member->turn->epoll, EPOLL_CTL_MOD, member->fd, &event);
}

void vh_member_leave(VhMember *member)
{
    if (!member)
        return;
    epoll_ctl(member->turn->epoll, EPOLL_CTL_DEL, member->fd, NULL);
    for (int i = 0; i < member->turn->count; i++)
        if (member->turn->ready[i].data.ptr == member)
            member->turn->ready[i].data.ptr = NULL;
    g_free(member);
}

void vh_member_charge(VhMember *member, gint64 us)
{
    fade(member, g_get_monotonic_time());
    member->charged += us;
}

bool vh_member_is_heavy(const VhMember *member)
{
    return member->charged >= VH_TURN_HEAVY;
}
