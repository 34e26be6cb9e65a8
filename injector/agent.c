// SPDX-License-Identifier: GPL-2.0-or-later
// Does what the session asks for, changes.c and walks.c the slow part of it: see struct
// vh_session_ops.
#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "say.h"

static void on_opened(void *context)
{
    struct vh_agent *in = context;

    if (in->options.verbose)
        vh_say("a session begins");
    vh_programs_discard(&in->programs);
    vh_changes_forget(in);
}

static uint32_t on_programs(void *context, struct vh_program programs[VH_PROGRAMS_MAX])
{
    const struct vh_agent *in = context;

    return vh_programs_list(&in->programs, programs);
}

static uint32_t on_cpus(void *context, struct vh_cpu cpus[VH_CPUS_MAX])
{
    const struct vh_agent *in = context;

    return vh_cpus_list(&in->cpus, cpus);
}

static const char *on_trouble(void *context, uint32_t program)
{
    const struct vh_running *running =
        vh_programs_find(&((struct vh_agent *)context)->programs, program);

    return running ? running->trouble : "";
}

static uint64_t on_now(void *context)
{
    (void)context;
    return vh_agent_now();
}

const struct vh_session_ops vh_agent_ops = {
    .opened = on_opened,
    .load = vh_change_load,
    .unload = vh_change_unload,
    .programs = on_programs,
    .trouble = on_trouble,
    .cpus = on_cpus,
    .facts = vh_walk_facts,
    .now = on_now,
};

int vh_agent_watch(struct vh_agent *in, int fd, uint32_t events, enum vh_source source)
{
    struct epoll_event event = {.events = events, .data.u64 = source};

    return epoll_ctl(in->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}
