// SPDX-License-Identifier: GPL-2.0-or-later
// Takes a program that is out of the set out of the kernel, as a job beside the loop.
#include <stddef.h>
#include <stdlib.h>

#include "agent.h"

static void detach(struct vh_job *job)
{
    struct vh_leave *leave = (struct vh_leave *)job;

    vh_running_end((struct vh_running *)((char *)leave - offsetof(struct vh_running, leave)));
}

static void detached(struct vh_job *job)
{
    struct vh_leave *leave = (struct vh_leave *)job;
    struct vh_reply reply = {0};

    leave->in->changes--;
    if (leave->waited)
        vh_session_done(&leave->in->session, leave->ticket, 0, &reply);
    free((char *)leave - offsetof(struct vh_running, leave));
}

void vh_change_leave(struct vh_running *running)
{
    running->leave.job = (struct vh_job){.work = detach, .done = detached};
    vh_jobs_start(&running->leave.in->jobs, &running->leave.job);
}
