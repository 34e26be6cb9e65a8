/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does what the session asks for: see struct vh_session_ops. */
#include "agent.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "say.h"

static void on_opened(void *context)
{
    struct vh_agent *in = context;

    if (in->options.verbose)
        vh_say("a session begins");
    vh_programs_discard(&in->programs);
}

static int on_load(void *context, const struct vh_transfer *transfer, struct vh_reply *reply)
{
    struct vh_agent *in = context;
    int error = vh_programs_load(&in->programs, transfer, reply);

    if (error)
        vh_say("program refused: %s", reply->text);
    else if (in->options.verbose)
        vh_say("program %s runs as number %u", transfer->load.name, reply->program);
    return error;
}

static void on_loaded(void *context, uint32_t program)
{
    struct vh_agent *in = context;
    struct vh_running *running = vh_programs_find(&in->programs, program);
    int error = running ? vh_loaded_iterate(&running->loaded, NULL) : 0;

    if (!error)
        return;
    vh_say("%s: its iterator failed: %s", running->name, strerror(-error));
    running->dropped++; /* so that the host asks for a snapshot */
}

static int on_unload(void *context, const char *name, struct vh_reply *reply)
{
    struct vh_agent *in = context;

    return vh_programs_unload(&in->programs, name, reply);
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

static uint64_t on_now(void *context)
{
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void vh_agent_stir(struct vh_agent *in)
{
    if (in->settles == 0)
        in->settles = on_now(in) + VH_SETTLE_NS;
}

static int on_facts(void *context, uint32_t program, struct vh_facts *facts)
{
    struct vh_agent *in = context;
    struct vh_running *running = vh_programs_find(&in->programs, program);

    vh_agent_stir(in);
    return running ? vh_snapshot(running, &in->session, facts) : -ENOENT;
}

const struct vh_session_ops vh_agent_ops = {
    .opened = on_opened,
    .load = on_load,
    .loaded = on_loaded,
    .unload = on_unload,
    .programs = on_programs,
    .cpus = on_cpus,
    .facts = on_facts,
    .now = on_now,
};
