/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the running programs: adds, replaces, removes, lists. */
#include "programs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

void vh_programs_init(struct vh_programs_set *set, int epoll, uint64_t ring_event, uint32_t cpus)
{
    *set = (struct vh_programs_set){.epoll = epoll, .ring_event = ring_event, .cpus = cpus};
}

static struct vh_running *find_name(struct vh_programs_set *set, const char *name)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (strcmp(set->running[i].name, name) == 0)
            return &set->running[i];
    }
    return NULL;
}

/* Closing the map that backs a ring takes it out of the epoll set too, but only with its last
 * reference. */
static void remove_running(struct vh_programs_set *set, struct vh_running *running)
{
    if (running->ring_fd >= 0)
        epoll_ctl(set->epoll, EPOLL_CTL_DEL, running->ring_fd, NULL);
    vh_running_free(running);
    set->count--;
    memmove(running, running + 1, (size_t)(set->running + set->count - running) * sizeof(*running));
}

void vh_programs_free(struct vh_programs_set *set)
{
    while (set->count > 0)
        remove_running(set, &set->running[set->count - 1]);
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

int vh_programs_load(struct vh_programs_set *set, const struct vh_transfer *transfer,
                     struct vh_reply *reply)
{
    struct vh_running *fresh = &set->running[set->count];
    struct vh_running *old;
    int error;

    *fresh = (struct vh_running){.ring_fd = -1, .state_fd = -1};
    memcpy(fresh->name, transfer->load.name, sizeof(fresh->name));
    memcpy(fresh->digest, transfer->load.digest, sizeof(fresh->digest));
    error = vh_load(transfer, set->cpus, &fresh->loaded, reply);
    if (error)
        return error;
    error = vh_running_init(fresh, reply->text);
    if (error == 0)
        error = watch_ring(set, fresh, reply->text);
    if (error) {
        vh_running_free(fresh);
        return error;
    }
    fresh->id = ++set->last_id;
    reply->program = fresh->id;
    old = find_name(set, fresh->name);
    set->count++;
    if (old)
        remove_running(set, old);
    return 0;
}

int vh_programs_unload(struct vh_programs_set *set, const char *name, struct vh_reply *reply)
{
    struct vh_running *running = find_name(set, name);

    if (!running) {
        snprintf(reply->text, sizeof(reply->text), "%s: no program of this name runs in the guest",
                 name);
        return -ENOENT;
    }
    remove_running(set, running);
    return 0;
}

uint32_t vh_programs_list(const struct vh_programs_set *set,
                          struct vh_program programs[VH_PROGRAMS_MAX])
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct vh_running *running = &set->running[i];

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
        if (set->running[i].id == id)
            return &set->running[i];
    }
    return NULL;
}

bool vh_programs_relay(struct vh_programs_set *set, struct vh_session *session)
{
    bool any = false;

    for (uint32_t i = 0; i < set->count; i++)
        any |= vh_relay(&set->running[i], session);
    return any;
}

void vh_programs_account(struct vh_programs_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        vh_running_account(&set->running[i]);
}

void vh_programs_discard(struct vh_programs_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        vh_relay_discard(&set->running[i]);
}
