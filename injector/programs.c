// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the running programs: adds, takes out, lists.
#include "programs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

void vh_programs_init(struct vh_programs_set *set, int epoll, uint64_t ring_event, uint32_t cpus)
{
    *set = (struct vh_programs_set){.epoll = epoll, .ring_event = ring_event, .cpus = cpus};
}

/* Where the program of this name is; -1: nowhere. */
static int find_name(const struct vh_programs_set *set, const char *name)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (strcmp(set->running[i]->name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* Closing the map that backs a ring takes it out of the epoll set too, but only with its last
 * reference. */
static struct vh_running *take_out(struct vh_programs_set *set, uint32_t at)
{
    struct vh_running *running = set->running[at];

    if (running->ring_fd >= 0)
        epoll_ctl(set->epoll, EPOLL_CTL_DEL, running->ring_fd, NULL);
    set->count--;
    memmove(&set->running[at], &set->running[at + 1], (set->count - at) * sizeof(set->running[0]));
    return running;
}

static int watch_ring(struct vh_programs_set *set, const struct vh_running *running, char *text)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = set->ring_event};

    if (running->ring_fd < 0 || epoll_ctl(set->epoll, EPOLL_CTL_ADD, running->ring_fd, &event) == 0)
        return 0;
    snprintf(text, VH_TEXT_MAX, "%s: its ring buffer cannot be watched: %s", running->name,
             strerror(errno));
    return -errno;
}

int vh_programs_add(struct vh_programs_set *set, struct vh_running *running, bool replace,
                    struct vh_running **old, char *text)
{
    int at = find_name(set, running->name);
    int error;

    if (at >= 0 && !replace) {
        snprintf(text, VH_TEXT_MAX, "%s: a program of this name has begun to run meanwhile",
                 running->name);
        return -EEXIST;
    }
    if (at < 0 && set->count == VH_PROGRAMS_MAX) {
        snprintf(text, VH_TEXT_MAX, "%s: the guest runs %u programs by now, the most there may be",
                 running->name, VH_PROGRAMS_MAX);
        return -ENOSPC;
    }
    error = watch_ring(set, running, text);
    if (error)
        return error;
    running->id = ++set->last_id;
    *old = at >= 0 ? take_out(set, (uint32_t)at) : NULL;
    set->running[set->count++] = running;
    return 0;
}

struct vh_running *vh_programs_remove(struct vh_programs_set *set, const char *name)
{
    int at = find_name(set, name);

    return at >= 0 ? take_out(set, (uint32_t)at) : NULL;
}

uint32_t vh_programs_list(const struct vh_programs_set *set,
                          struct vh_program programs[VH_PROGRAMS_MAX])
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct vh_running *running = set->running[i];

        programs[i] = (struct vh_program){
            .id = running->id,
            .flags = (running->ring_fd >= 0 ? VH_PROGRAM_HINTS : 0) |
                     (running->state_fd >= 0 ? VH_PROGRAM_STATE : 0),
            .attached = running->loaded.attached,
            .seq = running->seq,
            .lost = vh_running_lost(running),
        };
        memcpy(programs[i].name, running->name, sizeof(programs[i].name));
        memcpy(programs[i].digest, running->digest, sizeof(programs[i].digest));
    }
    return set->count;
}

struct vh_running *vh_programs_find(struct vh_programs_set *set, uint32_t id)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->running[i]->id == id)
            return set->running[i];
    }
    return NULL;
}

bool vh_programs_relay(struct vh_programs_set *set, struct vh_session *session)
{
    uint32_t first = set->turn;
    bool any = false;

    for (uint32_t i = 0; i < set->count && !vh_out_full(&session->out); i++) {
        struct vh_running *running = set->running[(first + i) % set->count];

        if (!vh_session_part(session, running->id) && !vh_relay(running, session))
            continue;
        set->turn = (first + i + 1) % set->count;
        any = true;
    }
    return any;
}

void vh_programs_account(struct vh_programs_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        vh_running_account(set->running[i]);
}

void vh_programs_discard(struct vh_programs_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        vh_relay_discard(set->running[i]);
}
